//! A few open sessions with the mail server, each for one mail at a time.
//!
//! An error says no more than is known of the mail: until its content is sent the mail server has nothing; from then on only
//! a reply tells. Where the server offers PIPELINING (RFC 2920), all that precedes the content is sent at once: two round
//! trips a mail instead of four.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::clock::Clock;
use common::tasks::Tasks;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::response::Response;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::super::message::Message;
use super::super::{SendError, reply, spans};
use super::SmtpServer;
use super::session::SmtpSession;
use crate::metrics::SMTP_CONNECTIONS;

/// For all that precedes the content, and for the reply to the content. Together they are shorter than the send timeout, so
/// that an error is never a guess.
const BEFORE_CONTENT: Duration = Duration::from_secs(20);
const CONTENT_TIMEOUT: Duration = Duration::from_secs(15);
/// A session that takes longer to answer a mere question is dropped.
const RESET_TIMEOUT: Duration = Duration::from_secs(2);
/// A session that was idle for longer is closed; mail servers close theirs after a few minutes.
const MAX_IDLE: Duration = Duration::from_secs(30);
/// A session that was idle for longer is asked whether it still answers.
const TRUSTED_IDLE: Duration = Duration::from_secs(2);
/// The mail server closes the session after this reply.
const CLOSING: u16 = 421;

/// The sessions.
pub struct SmtpPool {
    server: SmtpServer,
    permits: Semaphore,
    idle: Arc<IdleSessions>,
    clock: Clock,
}

type IdleSessions = Mutex<Vec<IdleSession>>;

struct IdleSession {
    session: PooledSession,
    since: Instant,
}

/// A session that is counted while it exists.
struct PooledSession(SmtpSession);

/// Why a mail was not accepted, and what that means for its session.
enum HandOverError {
    /// The session ended before any content was sent.
    SessionOver(SendError),
    /// The mail server refused the mail and waits for the next one.
    Refused(SendError),
    /// The mail server refused the mail and waits for its content all the same.
    OutOfStep(SendError),
    /// The session ended after content was sent. A late reply must not be read as the reply to the next mail.
    Lost(SendError),
}

impl HandOverError {
    fn into_inner(self) -> SendError {
        match self {
            Self::SessionOver(error) | Self::Refused(error) | Self::OutOfStep(error) | Self::Lost(error) => error,
        }
    }
}

impl SmtpPool {
    /// With so many connections at most. A task closes those that are idle.
    pub fn new(server: SmtpServer, connections: usize, clock: Clock, tasks: &Tasks) -> Self {
        let idle = Arc::new(IdleSessions::default());
        let closing = close_idle(Arc::clone(&idle), clock.clone(), tasks.stop().clone());
        tasks.run_infallible("idle smtp sessions", closing);
        Self {
            server,
            permits: Semaphore::new(connections),
            idle,
            clock,
        }
    }

    /// Hands a mail over and returns the code of the reply that accepted it.
    pub async fn send(&self, message: &Message<'_>) -> Result<u16, SendError> {
        let deadline = self.clock.instant() + BEFORE_CONTENT;
        let busy = || SendError::Transient("all connections to the mail server are busy".to_owned());
        let permit = self.before(deadline, self.permits.acquire()).await;
        let _permit = permit.ok_or_else(busy)?.map_err(|_| busy())?;
        if let Some(session) = self.take_idle().await {
            match self.hand_over(session, message, deadline).await {
                Ok(code) => return Ok(code),
                // Mail servers end sessions that were idle or carried many mails; a new one tells what is wrong.
                Err(HandOverError::SessionOver(_)) => {}
                Err(error) => return Err(error.into_inner()),
            }
        }
        // Boxed: it is large, and rare.
        let session = self.before(deadline, Box::pin(self.server.connect(&self.clock))).await;
        let session = session.ok_or_else(|| late(BEFORE_CONTENT))??;
        let session = PooledSession::new(session);
        let code = self.hand_over(session, message, deadline).await;
        code.map_err(HandOverError::into_inner)
    }

    /// Hands a mail over in a session, which is kept unless it broke.
    async fn hand_over(
        &self,
        mut session: PooledSession,
        message: &Message<'_>,
        deadline: Instant,
    ) -> Result<u16, HandOverError> {
        // Pinned here, so that the time limit around it does not copy it.
        let envelope = {
            let sending = pin!(session.send_envelope(message));
            self.before(deadline, sending).await
        };
        let sent = match envelope {
            Some(Ok(())) => session.send_content(message, &self.clock).await,
            Some(Err(error)) => Err(error),
            None => Err(HandOverError::SessionOver(late(BEFORE_CONTENT))),
        };
        let is_usable = match &sent {
            Ok(_) => true,
            // The mail server may still wait for the rest of a mail that will not come.
            Err(HandOverError::Refused(_)) => session.reset(&self.clock).await,
            Err(_) => false,
        };
        if is_usable {
            let since = self.clock.instant();
            lock(&self.idle).push(IdleSession { session, since });
        }
        sent
    }

    /// The session that was used last, where it still answers.
    async fn take_idle(&self) -> Option<PooledSession> {
        let mut idle = lock(&self.idle).pop()?;
        let answers = self.clock.elapsed(idle.since) < TRUSTED_IDLE || idle.session.reset(&self.clock).await;
        answers.then_some(idle.session)
    }

    async fn before<F: Future>(&self, deadline: Instant, work: F) -> Option<F::Output> {
        let remaining = deadline.saturating_duration_since(self.clock.instant());
        self.clock.timeout(remaining, work).await
    }
}

impl PooledSession {
    fn new(session: SmtpSession) -> Self {
        SMTP_CONNECTIONS.inc();
        Self(session)
    }

    async fn send_envelope(&mut self, message: &Message<'_>) -> Result<(), HandOverError> {
        let connection = &mut self.0.connection;
        let from = Mail::new(Some(message.return_path.clone()), Vec::new());
        let to = Rcpt::new(message.to.clone(), Vec::new());
        if !self.0.pipelining {
            connection.command(from).await.map_err(|error| before_content(&error))?;
            connection.command(to).await.map_err(|error| before_content(&error))?;
            connection.command(Data).await.map_err(|error| before_content(&error))?;
            return Ok(());
        }
        let sender = connection.command(PipelinedEnvelope(from, to)).await;
        let recipient = next_reply(&sender, connection.read_response()).await?;
        let data = next_reply(&recipient, connection.read_response()).await?;
        match (sender.and(recipient), data) {
            (Ok(_), Ok(_)) => Ok(()),
            (Ok(_), Err(refused)) | (Err(refused), Err(_)) => Err(before_content(&refused)),
            (Err(refused), Ok(_)) => Err(match before_content(&refused) {
                HandOverError::Refused(error) => HandOverError::OutOfStep(error),
                error => error,
            }),
        }
    }

    async fn send_content(&mut self, message: &Message<'_>, clock: &Clock) -> Result<u16, HandOverError> {
        let command = pin!(self.0.connection.command(message.content()));
        let Some(result) = clock.timeout(CONTENT_TIMEOUT, command).await else {
            let problem = format!("no reply within {} s", CONTENT_TIMEOUT.as_secs());
            return Err(HandOverError::Lost(SendError::Lost(problem)));
        };
        let response = result.map_err(|error| {
            record_code(&error);
            match reply::content_error(&error) {
                lost @ SendError::Lost(_) => HandOverError::Lost(lost),
                refused => HandOverError::Refused(refused),
            }
        })?;
        Ok(u16::from(response.code()))
    }

    /// Ends a mail that was begun. True when the session still answers.
    async fn reset(&mut self, clock: &Clock) -> bool {
        let reply = clock.timeout(RESET_TIMEOUT, self.0.connection.command(Rset)).await;
        matches!(reply, Some(Ok(_)))
    }
}

impl Drop for PooledSession {
    fn drop(&mut self) {
        SMTP_CONNECTIONS.dec();
    }
}

/// All that precedes the content, in one write.
struct PipelinedEnvelope(Mail, Rcpt);

impl fmt::Display for PipelinedEnvelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(from, to) = self;
        write!(f, "{from}{to}{Data}")
    }
}

/// The reply to the next of several commands that were sent at once. There is none where the session ended before it, or is
/// about to.
async fn next_reply(
    previous: &Result<Response, Error>,
    reply: impl Future<Output = Result<Response, Error>>,
) -> Result<Result<Response, Error>, HandOverError> {
    match previous.as_ref().err() {
        Some(error) if ends_session(error) => Err(session_over(error)),
        _ => Ok(reply.await),
    }
}

fn late(limit: Duration) -> SendError {
    SendError::Transient(format!("not ready for a mail within {} s", limit.as_secs()))
}

fn before_content(error: &Error) -> HandOverError {
    if ends_session(error) {
        return session_over(error);
    }
    record_code(error);
    HandOverError::Refused(reply::envelope_error(error))
}

/// Whether no reply follows in this session.
fn ends_session(error: &Error) -> bool {
    matches!(error.status().map(u16::from), None | Some(CLOSING))
}

fn session_over(error: &Error) -> HandOverError {
    record_code(error);
    HandOverError::SessionOver(SendError::Transient(reply::describe(error)))
}

fn record_code(error: &Error) {
    if let Some(code) = error.status() {
        spans::record_reply(u16::from(code));
    }
}

/// Closes sessions that nobody uses, until the stop.
async fn close_idle(idle: Arc<IdleSessions>, clock: Clock, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(MAX_IDLE / 4) => {}
        }
        let expired: Vec<IdleSession> = lock(&idle)
            .extract_if(.., |one| clock.elapsed(one.since) > MAX_IDLE)
            .collect();
        for mut one in expired {
            one.session.0.end(&clock).await;
        }
    }
}

fn lock(idle: &IdleSessions) -> MutexGuard<'_, Vec<IdleSession>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
