//! A few open connections, each with one mail at a time.
//!
//! What is known of a mail that was not taken is said as it is: until its content goes out nothing is in the mail server's
//! hands; from then on only an answer says where it is. Where the server offers PIPELINING (RFC 2920) all that comes before
//! the content goes out at once: two round trips a mail instead of four.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::response::Response;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::message::Message;
use super::super::{SendError, refusal, spans};
use super::Server;
use super::server::Greeted;
use crate::metrics::SMTP_CONNECTIONS;

/// Everything until content goes out, and the answer to it. Together they end before who sends loses patience, so that what is
/// said of a mail is never a guess.
const BEFORE_CONTENT: Duration = Duration::from_secs(20);
const CONTENT_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection that does not answer a mere question is dropped.
const RESET_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that nobody used for so long is closed; mail servers close theirs after a few minutes.
const IDLE: Duration = Duration::from_secs(30);
/// A connection that rested for so long is asked whether it still holds.
const RESTED: Duration = Duration::from_secs(2);
/// The mail server closes the connection after this answer.
const CLOSING: u16 = 421;

/// The connections.
pub struct Pool {
    server: Server,
    free: Semaphore,
    idle: Arc<Mutex<Vec<Idle>>>,
}

struct Idle {
    connection: Open,
    since: Instant,
}

/// A connection that is counted for as long as it is there.
struct Open(Greeted);

/// Why a mail was not taken.
enum Failure {
    /// The connection gave out before any content was sent.
    Stale(SendError),
    /// The mail server refused it and waits for the next one.
    Refused(SendError),
    /// The mail server refused it and waits for its content all the same.
    Astray(SendError),
    /// The connection gave out after content was sent. An answer that comes late must not be read as one to the next mail.
    Lost(SendError),
}

impl Pool {
    /// With at most so many connections.
    pub fn new(server: Server, connections: usize) -> Self {
        let idle = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(close_idle(Arc::downgrade(&idle)));
        Self {
            server,
            free: Semaphore::new(connections),
            idle,
        }
    }

    /// Hands a mail over and answers the code it was taken with.
    pub async fn send(&self, message: &Message<'_>) -> Result<u16, SendError> {
        let deadline = Instant::now() + BEFORE_CONTENT;
        let free = timeout_at(deadline, self.free.acquire()).await;
        let busy = || SendError::Transient("all connections to the mail server are busy".to_owned());
        let _permit = free.map_err(|_| busy())?.map_err(|_| busy())?;
        if let Some(connection) = self.rested().await {
            match self.on(connection, message, deadline).await {
                Ok(code) => return Ok(code),
                Err(Failure::Refused(error) | Failure::Astray(error) | Failure::Lost(error)) => return Err(error),
                // Mail servers close connections that rested or carried many mails; a new one shows what is the matter.
                Err(Failure::Stale(_)) => {}
            }
        }
        let connection = timeout_at(deadline, self.server.connect())
            .await
            .map_err(|_| late(BEFORE_CONTENT))??;
        let connection = Open::new(connection);
        self.on(connection, message, deadline)
            .await
            .map_err(|failure| match failure {
                Failure::Stale(error) | Failure::Refused(error) | Failure::Astray(error) | Failure::Lost(error) => {
                    error
                }
            })
    }

    /// Hands a mail over on a connection, which goes back unless it broke.
    async fn on(&self, mut connection: Open, message: &Message<'_>, deadline: Instant) -> Result<u16, Failure> {
        match connection.hand_over(message, deadline).await {
            Ok(code) => {
                self.put_back(connection);
                Ok(code)
            }
            Err(failure) => {
                // After a refusal the mail server may still wait for the rest of a mail that will not come.
                if matches!(failure, Failure::Refused(_)) && connection.reset().await {
                    self.put_back(connection);
                }
                Err(failure)
            }
        }
    }

    /// The connection used last, where it still holds.
    async fn rested(&self) -> Option<Open> {
        let mut idle = lock(&self.idle).pop()?;
        let holds = idle.since.elapsed() < RESTED || idle.connection.reset().await;
        holds.then_some(idle.connection)
    }

    fn put_back(&self, connection: Open) {
        let since = Instant::now();
        lock(&self.idle).push(Idle { connection, since });
    }
}

impl Open {
    fn new(connection: Greeted) -> Self {
        SMTP_CONNECTIONS.inc();
        Self(connection)
    }

    async fn hand_over(&mut self, message: &Message<'_>, deadline: Instant) -> Result<u16, Failure> {
        let envelope = timeout_at(deadline, self.envelope(message)).await;
        envelope.map_err(|_| Failure::Stale(late(BEFORE_CONTENT)))??;
        let content = timeout(CONTENT_TIMEOUT, self.0.connection.command(message.content())).await;
        let lost = || SendError::Lost(format!("no answer within {} s", CONTENT_TIMEOUT.as_secs()));
        let answer = content.map_err(|_| Failure::Lost(lost()))?;
        let answer = answer.map_err(|error| {
            note_code(&error);
            match refusal::of_content(&error) {
                lost @ SendError::Lost(_) => Failure::Lost(lost),
                refused => Failure::Refused(refused),
            }
        })?;
        Ok(u16::from(answer.code()))
    }

    async fn envelope(&mut self, message: &Message<'_>) -> Result<(), Failure> {
        let connection = &mut self.0.connection;
        let from = Mail::new(Some(message.return_path.clone()), Vec::new());
        let to = Rcpt::new(message.to.clone(), Vec::new());
        if !self.0.pipelining {
            connection.command(from).await.map_err(|error| before_content(&error))?;
            connection.command(to).await.map_err(|error| before_content(&error))?;
            connection.command(Data).await.map_err(|error| before_content(&error))?;
            return Ok(());
        }
        let sender = connection.command(AtOnce(from, to)).await;
        let recipient = next_answer(&sender, connection.read_response()).await?;
        let data = next_answer(&recipient, connection.read_response()).await?;
        match (sender.and(recipient), data) {
            (Ok(_), Ok(_)) => Ok(()),
            (Ok(_), Err(refused)) | (Err(refused), Err(_)) => Err(before_content(&refused)),
            (Err(refused), Ok(_)) => Err(match before_content(&refused) {
                Failure::Refused(error) => Failure::Astray(error),
                failure => failure,
            }),
        }
    }

    /// Whether the connection still holds; ends a mail that was begun.
    async fn reset(&mut self) -> bool {
        matches!(timeout(RESET_TIMEOUT, self.0.connection.command(Rset)).await, Ok(Ok(_)))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        SMTP_CONNECTIONS.dec();
    }
}

/// All that comes before the content, in one write.
struct AtOnce(Mail, Rcpt);

impl fmt::Display for AtOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(from, to) = self;
        write!(f, "{from}{to}{Data}")
    }
}

/// The answer to the next of the commands that went out at once. None follows where the connection gave out before it, or
/// is about to.
async fn next_answer(
    before: &Result<Response, Error>,
    answer: impl Future<Output = Result<Response, Error>>,
) -> Result<Result<Response, Error>, Failure> {
    match before.as_ref().err() {
        Some(error) if is_over(error) => Err(stale(error)),
        _ => Ok(answer.await),
    }
}

fn late(limit: Duration) -> SendError {
    SendError::Transient(format!("not ready for a mail within {} s", limit.as_secs()))
}

fn before_content(error: &Error) -> Failure {
    if is_over(error) {
        return stale(error);
    }
    note_code(error);
    Failure::Refused(refusal::of_envelope(error))
}

/// Whether nothing more comes on a connection.
fn is_over(error: &Error) -> bool {
    matches!(error.status().map(u16::from), None | Some(CLOSING))
}

fn stale(error: &Error) -> Failure {
    note_code(error);
    Failure::Stale(SendError::Transient(refusal::words(error)))
}

fn note_code(error: &Error) {
    if let Some(code) = error.status() {
        spans::answered(u16::from(code));
    }
}

/// Closes connections that nobody uses, for as long as the pool is there.
async fn close_idle(idle: Weak<Mutex<Vec<Idle>>>) {
    let mut ticks = tokio::time::interval(IDLE / 4);
    loop {
        ticks.tick().await;
        let Some(idle) = idle.upgrade() else {
            return;
        };
        let expired: Vec<Idle> = lock(&idle).extract_if(.., |one| one.since.elapsed() > IDLE).collect();
        drop(idle);
        for mut one in expired {
            let _ = timeout(RESET_TIMEOUT, one.connection.0.connection.quit()).await;
        }
    }
}

fn lock(idle: &Mutex<Vec<Idle>>) -> std::sync::MutexGuard<'_, Vec<Idle>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
