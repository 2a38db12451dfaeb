//! `dead-letters`: messages that could not be processed, and what to do with them.

use clap::{Args, Subcommand};
use common::grpc::ServiceChannel;
use proto::operations::v1::operations_service_client::OperationsServiceClient;
use proto::operations::v1::{
    DeadLetter, DropDeadLetterRequest, GetDeadLetterRequest, ListDeadLettersRequest, ReplayDeadLetterRequest,
};
use serde_json::json;

use crate::error::CommandError;
use crate::{ConnectArgs, client, output};

/// What to do with dead letters.
#[derive(Subcommand)]
pub enum DeadLettersCommand {
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
    /// Publish their messages again and remove the dead letters
    Replay(DeadLetterSelection),
    /// Delete dead letters for good
    Drop(DeadLetterSelection),
}

/// Which dead letters.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct DeadLetterSelection {
    /// Their ids, from the list
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All there are now
    #[arg(long)]
    all: bool,
}

type OperationsClient = OperationsServiceClient<ServiceChannel>;

/// Runs the command.
pub async fn run(connect: &ConnectArgs, command: DeadLettersCommand) -> Result<(), CommandError> {
    let mut operations = OperationsServiceClient::new(client::connect(connect)?);
    match command {
        DeadLettersCommand::List { json } => list(&all(&mut operations).await?, json),
        DeadLettersCommand::Show { id, json } => show(&mut operations, id, json).await?,
        DeadLettersCommand::Replay(selection) => {
            for id in selected(&mut operations, selection).await? {
                operations
                    .replay_dead_letter(ReplayDeadLetterRequest { id: id.clone() })
                    .await?;
                println!("dead letter {id} was published again");
            }
        }
        DeadLettersCommand::Drop(selection) => {
            for id in selected(&mut operations, selection).await? {
                operations
                    .drop_dead_letter(DropDeadLetterRequest { id: id.clone() })
                    .await?;
                println!("dead letter {id} was deleted");
            }
        }
    }
    Ok(())
}

async fn selected(
    operations: &mut OperationsClient,
    selection: DeadLetterSelection,
) -> Result<Vec<String>, CommandError> {
    if !selection.all {
        return Ok(selection.ids);
    }
    Ok(all(operations).await?.into_iter().map(|letter| letter.id).collect())
}

async fn all(operations: &mut OperationsClient) -> Result<Vec<DeadLetter>, CommandError> {
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

async fn show(operations: &mut OperationsClient, id: String, as_json: bool) -> Result<(), CommandError> {
    let answer = operations
        .get_dead_letter(GetDeadLetterRequest { id })
        .await?
        .into_inner();
    let letter = answer.dead_letter.unwrap_or_default();
    if as_json {
        let message = serde_json::from_str(&answer.payload_json).unwrap_or(serde_json::Value::Null);
        let mut object = to_json(&letter);
        object["message_type"] = letter.message_type.into();
        object["message"] = message;
        println!("{object}");
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
        "failed": output::time(letter.failed_time),
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
