//! `dead-letters`: what could not be handled, and what to do with it.

use clap::{Args, Subcommand};
use common::grpc::ServiceChannel;
use proto::operations::v1::operations_service_client::OperationsServiceClient;
use proto::operations::v1::{
    DeadLetter, DropDeadLetterRequest, GetDeadLetterRequest, ListDeadLettersRequest, ReplayDeadLetterRequest,
};
use serde_json::json;

use crate::failure::Failure;
use crate::{Place, client};

/// What to do.
#[derive(Subcommand)]
pub enum DeadLetters {
    /// List them, oldest first
    List {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show one with its message
    Show {
        /// Its id, from the list
        id: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Put messages back on their way and remove the dead letters
    Replay(Which),
    /// Remove dead letters for good
    Drop(Which),
}

/// Which dead letters.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// Their ids, from the list
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All that are there now
    #[arg(long)]
    all: bool,
}

type Client = OperationsServiceClient<ServiceChannel>;

/// Runs the command.
pub async fn run(place: &Place, command: DeadLetters) -> Result<(), Failure> {
    let mut operations = OperationsServiceClient::new(client::connect(place)?);
    match command {
        DeadLetters::List { json } => list(&all(&mut operations).await?, json),
        DeadLetters::Show { id, json } => show(&mut operations, id, json).await?,
        DeadLetters::Replay(which) => {
            for id in chosen(&mut operations, which).await? {
                operations
                    .replay_dead_letter(ReplayDeadLetterRequest { id: id.clone() })
                    .await?;
                println!("dead letter {id} is on its way again");
            }
        }
        DeadLetters::Drop(which) => {
            for id in chosen(&mut operations, which).await? {
                operations
                    .drop_dead_letter(DropDeadLetterRequest { id: id.clone() })
                    .await?;
                println!("dead letter {id} is gone");
            }
        }
    }
    Ok(())
}

async fn chosen(operations: &mut Client, which: Which) -> Result<Vec<String>, Failure> {
    if !which.all {
        return Ok(which.ids);
    }
    Ok(all(operations).await?.into_iter().map(|letter| letter.id).collect())
}

async fn all(operations: &mut Client) -> Result<Vec<DeadLetter>, Failure> {
    let mut letters = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListDeadLettersRequest {
            page_size: 0,
            page_token,
        };
        let answer = operations.list_dead_letters(request).await?.into_inner();
        letters.extend(answer.dead_letters);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return Ok(letters);
        }
    }
}

async fn show(operations: &mut Client, id: String, as_json: bool) -> Result<(), Failure> {
    let answer = operations
        .get_dead_letter(GetDeadLetterRequest { id })
        .await?
        .into_inner();
    let letter = answer.dead_letter.unwrap_or_default();
    if as_json {
        let message = serde_json::from_str(&answer.payload_json).unwrap_or(serde_json::Value::Null);
        let mut shown = to_json(&letter);
        shown["message_type"] = letter.message_type.into();
        shown["message"] = message;
        println!("{shown}");
        return Ok(());
    }
    println!(
        "id          {}\nsubject     {}\nconsumer    {}",
        letter.id, letter.subject, letter.consumer
    );
    println!("reason      {}\ndeliveries  {}", letter.reason, letter.deliveries);
    println!("message     {}\n{}", letter.message_type, answer.payload_json);
    Ok(())
}

fn to_json(letter: &DeadLetter) -> serde_json::Value {
    json!({
        "id": letter.id, "subject": letter.subject, "consumer": letter.consumer,
        "reason": letter.reason, "deliveries": letter.deliveries,
        "failed": super::search::moment(letter.failed_time),
    })
}

fn list(letters: &[DeadLetter], as_json: bool) {
    if as_json {
        let letters: Vec<_> = letters.iter().map(to_json).collect();
        println!("{}", json!({ "dead_letters": letters }));
        return;
    }
    if letters.is_empty() {
        println!("There are no dead letters.");
    }
    for letter in letters {
        println!(
            "{:>6}  {}  {}  {}",
            letter.id, letter.subject, letter.consumer, letter.reason
        );
    }
}
