//! A mail server: mails written, paced, and handed over on one of a few open connections.
//!
//! It tries a mail once. When to try again is the business of who asked.

mod pool;
mod server;

use async_trait::async_trait;
use tracing::{error, info};

use super::budget::{Budget, Turn};
use super::message::Writer;
use super::pace::Pace;
use super::{Outgoing, SendError, Transport, spans};

use pool::Pool;
pub use server::Server;

/// The way to a mail server.
pub struct Smtp {
    writer: Writer,
    pool: Pool,
    pace: Pace,
    budget: Budget,
}

impl Smtp {
    /// With at most so many connections at a time, which is also how many mails can be in the mail server's hands without
    /// our knowing.
    pub fn new(server: Server, connections: usize, writer: Writer, pace: Pace, budget: Budget) -> Self {
        Self {
            writer,
            pool: Pool::new(server, connections),
            pace,
            budget,
        }
    }

    async fn hand_over(&self, mail: &Outgoing) -> Result<(), SendError> {
        let message = self.writer.write(mail)?;
        self.pace.wait(message.to.domain()).await?;
        let outcome = self.pool.send(&message).await;
        match self.budget.note(outcome.as_ref().err()) {
            Turn::Paused(problem) => error!(problem, "sending is paused"),
            Turn::Resumed => info!("sending goes on"),
            Turn::None => {}
        }
        spans::answered(outcome?);
        Ok(())
    }
}

#[async_trait]
impl Transport for Smtp {
    async fn send(&self, mail: &Outgoing) -> Result<(), SendError> {
        let _admitted = self.budget.admit()?;
        self.hand_over(mail).await
    }
}
