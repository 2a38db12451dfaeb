//! What the papers of an edition are there for, and what their scores are made of.

use proto::delivery::v1::{Edition, EditionPart};
use serde_json::{Value, json};

/// For people.
pub fn show(edition: &Edition) {
    println!("\nWhat the scores are made of:");
    for (number, one) in (1..).zip(&edition.papers) {
        let title = one.paper.as_ref().map_or("", |paper| paper.title.as_str());
        println!("{number:>3}. {title}\n     {:>7.4}  {}", one.score, one.reason);
        for part in &one.parts {
            println!("       {:<9} {:>8.4}{}", part.name, part.value, which(part));
        }
    }
}

fn which(part: &EditionPart) -> String {
    match part.interest {
        0 => String::new(),
        place => format!("  number {place} of the interests"),
    }
}

/// For programs.
pub fn as_json(edition: &Edition) -> Value {
    let part = |part: &EditionPart| json!({ "name": part.name, "value": part.value, "interest": part.interest });
    let papers = edition.papers.iter().map(|one| {
        let paper = one.paper.clone().unwrap_or_default();
        json!({
            "id": paper.id,
            "title": paper.title,
            "reason": one.reason,
            "score": one.score,
            "parts": one.parts.iter().map(part).collect::<Vec<_>>(),
        })
    });
    json!({
        "email": edition.email,
        "slot": super::super::search::moment(edition.slot_time),
        "subject": edition.subject,
        "papers": papers.collect::<Vec<_>>(),
    })
}
