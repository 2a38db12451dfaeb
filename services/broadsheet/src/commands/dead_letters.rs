//! `dead-letters`: what could not be handled, and what to do with it.

use clap::Subcommand;
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
    },
    /// Put the message back on its way and remove the dead letter
    Replay {
        /// Its id, from the list
        id: String,
    },
    /// Remove it for good
    Drop {
        /// Its id, from the list
        id: String,
    },
}

/// Runs the command.
pub async fn run(place: &Place, command: DeadLetters) -> Result<(), Failure> {
    let mut operations = OperationsServiceClient::new(client::connect(place)?);
    match command {
        DeadLetters::List { json } => {
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
                    break;
                }
            }
            list(&letters, json);
        }
        DeadLetters::Show { id } => {
            let answer = operations
                .get_dead_letter(GetDeadLetterRequest { id })
                .await?
                .into_inner();
            let letter = answer.dead_letter.unwrap_or_default();
            println!(
                "id          {}\nsubject     {}\nconsumer    {}",
                letter.id, letter.subject, letter.consumer
            );
            println!("reason      {}\ndeliveries  {}", letter.reason, letter.deliveries);
            println!("message     {}\n{}", letter.message_type, answer.payload_json);
        }
        DeadLetters::Replay { id } => {
            operations
                .replay_dead_letter(ReplayDeadLetterRequest { id: id.clone() })
                .await?;
            println!("dead letter {id} is on its way again");
        }
        DeadLetters::Drop { id } => {
            operations
                .drop_dead_letter(DropDeadLetterRequest { id: id.clone() })
                .await?;
            println!("dead letter {id} is gone");
        }
    }
    Ok(())
}

fn list(letters: &[DeadLetter], as_json: bool) {
    if as_json {
        let letters: Vec<_> = letters
            .iter()
            .map(|letter| {
                json!({
                    "id": letter.id, "subject": letter.subject, "consumer": letter.consumer,
                    "reason": letter.reason, "deliveries": letter.deliveries,
                    "failed": super::search::moment(letter.failed_time),
                })
            })
            .collect();
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
