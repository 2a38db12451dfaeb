//! A few open connections, each with one mail at a time.
//!
//! What is known of a mail that was not taken is said as it is: until its content goes out nothing is in the mail server's
//! hands; from then on only an answer says where it is.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::super::message::Message;
use super::super::{SendError, refusal, spans};
use super::Server;
use crate::metrics::SMTP_CONNECTIONS;

/// Waiting for a connection, and the answers to envelope and content, each. Together they end before who sends loses
/// patience, so that the reason is never a guess.
const FREE_TIMEOUT: Duration = Duration::from_secs(5);
const ENVELOPE_TIMEOUT: Duration = Duration::from_secs(10);
const CONTENT_TIMEOUT: Duration = Duration::from_secs(15);
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
struct Open(AsyncSmtpConnection);

/// How far a mail came.
enum Failure {
    /// The connection gave out before any content was sent.
    Stale(SendError),
    /// What it says.
    Answered(SendError),
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
    pub async fn send(&self, message: &Message) -> Result<u16, SendError> {
        let free = timeout(FREE_TIMEOUT, self.free.acquire()).await;
        let busy = || SendError::Transient("all connections to the mail server are busy".to_owned());
        let _permit = free.map_err(|_| busy())?.map_err(|_| busy())?;
        if let Some(connection) = self.rested().await {
            match self.on(connection, message).await {
                Ok(code) => return Ok(code),
                Err(Failure::Answered(error)) => return Err(error),
                // Mail servers close connections that rested or carried many mails; a new one shows what is the matter.
                Err(Failure::Stale(_)) => {}
            }
        }
        let connection = Open::new(self.server.connect().await?);
        self.on(connection, message).await.map_err(|failure| match failure {
            Failure::Stale(error) | Failure::Answered(error) => error,
        })
    }

    /// Hands a mail over on a connection, which goes back unless it broke.
    async fn on(&self, mut connection: Open, message: &Message) -> Result<u16, Failure> {
        match connection.hand_over(message).await {
            Ok(code) => {
                self.put_back(connection);
                Ok(code)
            }
            Err(failure) => {
                // After a refusal the mail server waits for the rest of a mail that will not come.
                if matches!(failure, Failure::Answered(_)) && !connection.0.has_broken() && connection.reset().await {
                    self.put_back(connection);
                }
                Err(failure)
            }
        }
    }

    async fn rested(&self) -> Option<Open> {
        loop {
            let mut idle = lock(&self.idle).pop()?;
            if idle.since.elapsed() < RESTED || idle.connection.reset().await {
                return Some(idle.connection);
            }
        }
    }

    fn put_back(&self, connection: Open) {
        let since = Instant::now();
        lock(&self.idle).push(Idle { connection, since });
    }
}

impl Open {
    fn new(connection: AsyncSmtpConnection) -> Self {
        SMTP_CONNECTIONS.inc();
        Self(connection)
    }

    async fn hand_over(&mut self, message: &Message) -> Result<u16, Failure> {
        let envelope = timeout(ENVELOPE_TIMEOUT, self.envelope(message)).await;
        let late = |seconds: Duration| format!("no answer within {} s", seconds.as_secs());
        envelope
            .map_err(|_| Failure::Stale(SendError::Transient(late(ENVELOPE_TIMEOUT))))?
            .map_err(|error| before_content(&error))?;
        let content = timeout(CONTENT_TIMEOUT, self.0.command(Content(&message.bytes))).await;
        let answer = content.map_err(|_| Failure::Answered(SendError::Lost(late(CONTENT_TIMEOUT))))?;
        let answer = answer.map_err(|error| {
            note_code(&error);
            Failure::Answered(refusal::of_content(&error))
        })?;
        Ok(u16::from(answer.code()))
    }

    async fn envelope(&mut self, message: &Message) -> Result<(), Error> {
        self.0
            .command(Mail::new(Some(message.return_path.clone()), Vec::new()))
            .await?;
        self.0.command(Rcpt::new(message.to.clone(), Vec::new())).await?;
        self.0.command(Data).await?;
        Ok(())
    }

    /// Whether the connection still holds; ends a mail that was begun.
    async fn reset(&mut self) -> bool {
        matches!(timeout(ENVELOPE_TIMEOUT, self.0.command(Rset)).await, Ok(Ok(_)))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        SMTP_CONNECTIONS.dec();
    }
}

/// A mail and the line that ends it, in one write.
struct Content<'a>(&'a str);

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        f.write_str(".\r\n")
    }
}

fn before_content(error: &Error) -> Failure {
    note_code(error);
    match error.status().map(u16::from) {
        None | Some(CLOSING) => Failure::Stale(SendError::Transient(refusal::words(error))),
        Some(_) => Failure::Answered(refusal::of_envelope(error)),
    }
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
            let _ = timeout(ENVELOPE_TIMEOUT, one.connection.0.quit()).await;
        }
    }
}

fn lock(idle: &Mutex<Vec<Idle>>) -> std::sync::MutexGuard<'_, Vec<Idle>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
