//! A delivered mail as a mail program shows it.

use mail_parser::{MessageParser, PartType};

/// The HTML part of a mail as it lies in a maildir, if it has one.
pub fn html(mail: &str) -> Option<String> {
    let message = MessageParser::default().parse(mail)?;
    message.parts.iter().find_map(|part| match &part.body {
        PartType::Html(html) => Some(html.to_string()),
        _ => None,
    })
}

/// The titles of a digest, each with the address that it leads to.
pub fn titles(html: &str) -> Vec<(String, String)> {
    let title = |rest: &str| {
        let (_, link) = rest.split_once("<a href=\"")?;
        let (address, rest) = link.split_once('"')?;
        let (_, rest) = rest.split_once('>')?;
        let (title, _) = rest.split_once("</a></h2>")?;
        Some((title.to_owned(), address.replace("&amp;", "&")))
    };
    html.split("<h2").skip(1).filter_map(title).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_html_part_is_decoded_and_a_mail_without_one_has_none() {
        let mail = "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"b\"\r\n\r\n--b\r\n\
                    Content-Type: text/plain\r\n\r\nplain\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\
                    Content-Transfer-Encoding: quoted-printable\r\n\r\n<h2><a href=3D\"/p?a=3D1&amp;b\">Z=C3=BCrich=\r\n's lakes</a></h2>\r\n--b--\r\n";
        let html = html(mail).expect("an HTML part");
        assert_eq!(titles(&html), [("Zürich's lakes".to_owned(), "/p?a=1&b".to_owned())]);
        assert_eq!(super::html("Content-Type: text/plain\r\n\r\nplain\r\n"), None);
    }
}
