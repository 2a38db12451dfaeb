//! What a page transfers with everything that belongs to it: style, scripts, icons, fonts.

use std::collections::BTreeSet;
use std::io::Read as _;

use anyhow::ensure;

use crate::http::{Answer, Connection};

/// Bytes of a page and of all that it names, each asked for once. Heads of answers are counted as they are written.
pub async fn of_page(web: &str, path: &str) -> anyhow::Result<usize> {
    let mut connection = Connection::open(web).await?;
    let page = connection.get(path).await?;
    ensure!(page.status == 200, "{path}: {}", page.status);
    let mut bytes = size(&page);
    let html = unpacked(&page)?;
    for part in parts(&html) {
        let answer = connection.get(&part).await?;
        ensure!(answer.status == 200, "{path} names {part}: {}", answer.status);
        bytes += size(&answer);
        // A style sheet may name fonts.
        for font in quoted(&unpacked(&answer)?, "url(", ')') {
            bytes += size(&connection.get(&font).await?);
        }
    }
    Ok(bytes)
}

fn parts(html: &str) -> BTreeSet<String> {
    let links = html.split("<link ").skip(1).filter_map(|rest| rest.split('>').next());
    let shown = links.filter(|link| link.contains("stylesheet") || link.contains("icon") || link.contains("preload"));
    let mut parts: BTreeSet<String> = shown.flat_map(|link| quoted(link, "href=\"", '"')).collect();
    parts.extend(quoted(html, "src=\"", '"'));
    parts
}

/// Paths of ours between a beginning and an end.
fn quoted(text: &str, beginning: &str, end: char) -> Vec<String> {
    let found = text.split(beginning).skip(1).filter_map(|rest| rest.split(end).next());
    let paths = found.map(|path| path.trim_matches(['"', '\'']).replace("&amp;", "&"));
    paths.filter(|path| path.starts_with('/')).collect()
}

fn size(answer: &Answer) -> usize {
    let headers = answer.headers.iter();
    let head: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len())
        .sum();
    "HTTP/1.1 200 OK\r\n\r\n".len() + head + answer.body.len()
}

fn unpacked(answer: &Answer) -> anyhow::Result<String> {
    let encoding = answer.headers.get("content-encoding").map(|value| value.to_str());
    let mut text = String::new();
    match encoding.transpose()? {
        None => text = answer.text(),
        Some("gzip") => {
            flate2::read::GzDecoder::new(answer.body.as_ref()).read_to_string(&mut text)?;
        }
        Some("zstd") => {
            ruzstd::decoding::StreamingDecoder::new(answer.body.as_ref())?.read_to_string(&mut text)?;
        }
        Some(other) => anyhow::bail!("{other} is an encoding that this bench cannot read"),
    }
    Ok(text)
}
