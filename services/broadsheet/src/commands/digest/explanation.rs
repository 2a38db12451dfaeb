//! Why each paper of a digest was chosen, and what its score is made of.

use domain::readable::readable_line;
use proto::delivery::v1::{Digest, ScorePart};
use serde_json::{Value, json};

use crate::output;

/// For people.
pub fn show(digest: &Digest) {
    println!("\nWhat the scores are made of:");
    for (number, one) in (1..).zip(&digest.papers) {
        let title = one
            .paper
            .as_ref()
            .map(|paper| readable_line(&paper.title))
            .unwrap_or_default();
        println!("{number:>3}. {title}\n     {:>7.4}  {}", one.score, one.reason);
        for part in &one.parts {
            println!("       {:<9} {:>8.4}{}", part.name, part.value, interest_number(part));
        }
    }
}

fn interest_number(part: &ScorePart) -> String {
    match part.interest {
        0 => String::new(),
        number => format!("  interest {number}"),
    }
}

/// For programs.
pub fn as_json(digest: &Digest) -> Value {
    let part = |part: &ScorePart| json!({ "name": part.name, "value": part.value, "interest": part.interest });
    let papers = digest.papers.iter().map(|one| {
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
        "email": digest.email,
        "slot": output::time(digest.slot_time),
        "subject": digest.subject,
        "papers": papers.collect::<Vec<_>>(),
    })
}
