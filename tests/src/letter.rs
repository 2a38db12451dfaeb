//! A delivered mail as a mail program shows it.

/// The HTML part of a mail as it lies in a maildir, if it has one; it is the last part of ours, in quoted-printable.
pub fn html(mail: &str) -> Option<String> {
    let (_, part) = mail.split_once("Content-Type: text/html")?;
    let (_, body) = part.split_once("\r\n\r\n")?;
    let body = &body[..body.rfind("\r\n--")?];
    let mut decoded = Vec::with_capacity(body.len());
    let mut pieces = body.split('=');
    decoded.extend(pieces.next()?.bytes());
    for piece in pieces {
        if let Some(next_line) = piece.strip_prefix("\r\n") {
            decoded.extend(next_line.bytes());
        } else {
            decoded.push(u8::from_str_radix(piece.get(..2)?, 16).ok()?);
            decoded.extend(piece[2..].bytes());
        }
    }
    String::from_utf8(decoded).ok()
}

/// Where the titles of a digest lead: each with its address, as HTML has them.
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
