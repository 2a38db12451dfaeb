//! A mail server: mails are built, held to the rate limit, and handed over in one of a few open sessions.
//!
//! It tries a mail once. When to try again is the caller's business.

mod pool;
mod server_url;
mod session;

use async_trait::async_trait;
use tracing::{error, info};

use super::error_budget::{BudgetChange, ErrorBudget};
use super::message::MessageBuilder;
use super::rate_limit::SendRateLimiter;
use super::{EncodedMail, SendError, Transport, spans};

pub use pool::SmtpPool;
pub use server_url::{SmtpUrl, TlsDemand};
pub use session::SmtpServer;

/// Sends mails through a mail server.
pub struct SmtpTransport {
    builder: MessageBuilder,
    pool: SmtpPool,
    rate_limiter: SendRateLimiter,
    error_budget: ErrorBudget,
}

impl SmtpTransport {
    /// From its parts. The pool's connections are also how many mails the mail server may have without our knowing.
    pub fn new(
        builder: MessageBuilder,
        pool: SmtpPool,
        rate_limiter: SendRateLimiter,
        error_budget: ErrorBudget,
    ) -> Self {
        Self {
            builder,
            pool,
            rate_limiter,
            error_budget,
        }
    }
}

#[async_trait]
impl Transport for SmtpTransport {
    async fn send(&self, mail: &EncodedMail) -> Result<(), SendError> {
        let _permit = self.error_budget.admit()?;
        let message = self.builder.build(mail)?;
        self.rate_limiter.wait(message.to.domain()).await?;
        let result = self.pool.send(&message).await;
        match self.error_budget.record(result.as_ref().err()) {
            BudgetChange::Paused(problem) => error!(problem, "sending is paused"),
            BudgetChange::Resumed => info!("sending goes on"),
            BudgetChange::None => {}
        }
        spans::record_reply(result?);
        Ok(())
    }
}
