//! The PostgreSQL index: its connections and transactions.
//!
//! A write transaction holds an advisory lock for its space, so that no other transaction changes the space before it
//! ends. Reads do not lock.

pub(in crate::store) mod address;
mod steps;
mod tables;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{
    Client, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use tokio_postgres::IsolationLevel;
use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::rows::Rows;
use crate::error::{Error, Kind, Result, with_causes, word};
use crate::model::Warn;
use crate::store::background::Background;
use address::{Address, Passwords};
use tables::Tables;

/// Maximum number of connections per replica.
const CONNECTIONS: usize = 16;
/// How long a request waits for a connection.
const WAIT: Duration = Duration::from_secs(30);
/// How long a new connection may take, including the login.
const CONNECT: Duration = Duration::from_secs(15);
/// How long, and with what pause, to query the outcome of a commit whose connection broke.
const RESOLVE: Duration = Duration::from_secs(30);
const RESOLVE_PAUSE: Duration = Duration::from_millis(250);
/// How long repetitions of a warning are suppressed.
const QUIET: Duration = Duration::from_mins(1);

/// The message for a change that may have been made.
const LOST: &str = "the connection to the index was lost during a commit, so its outcome is unknown";
/// The message while there is no connection.
const UNREACHABLE: &str = "cannot reach the index database";

/// The database of a shared store.
pub(in crate::store) struct Database {
    background: Arc<Background>,
    pool: Pool,
    /// The address without a password.
    pub(in crate::store) shown: String,
    schema: String,
    /// The command that creates the database.
    create: String,
    warn: Warn,
    /// The warnings of the last minute.
    warned: Mutex<HashMap<String, Instant>>,
}

impl Database {
    /// Connects to the index at `url`, and creates or migrates its tables. Also returns the id of the store.
    pub(in crate::store) fn open(
        url: &str,
        passwords: &Passwords,
        background: &Arc<Background>,
        warn: Warn,
    ) -> Result<(Self, String)> {
        let Address { config, tls, schema, shown, create } = Address::parse(url, passwords)?;
        let how = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config, MakeRustlsConnect::new(tls), how);
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(CONNECT))
            .recycle_timeout(Some(CONNECT))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| {
                Error::failed("cannot prepare the connections to PostgreSQL").caused_by(error)
            })?;
        let background = Arc::clone(background);
        let database = Self { background, pool, shown, schema, create, warn, warned: Mutex::default() };
        let id = database.background.wait(steps::migrate(&database))?;
        Ok((database, id))
    }

    /// A connection that is not known to be broken.
    pub(in crate::store) async fn client(&self) -> Result<Client> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => self.failed(&error),
            PoolError::Timeout(TimeoutType::Wait) => {
                let reason = format!("all {CONNECTIONS} connections are in use");
                self.error(Kind::Unreachable, "the index is busy", &reason)
            }
            error => self.error(Kind::Unreachable, UNREACHABLE, &error.to_string()),
        })
    }

    /// Runs a single statement.
    pub(in crate::store) async fn run(
        &self,
        sql: &str,
        values: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<u64> {
        let client = self.client().await?;
        let statement = client.prepare_cached(sql).await.map_err(|error| self.failed(&error))?;
        client.execute(&statement, values).await.map_err(|error| self.failed(&error))
    }

    /// Runs a read transaction, in which `work` sees a consistent snapshot of the rows.
    pub(in crate::store) fn read<T>(&self, work: impl FnOnce(&Rows) -> Result<T>) -> Result<T> {
        let background = &self.background;
        let mut client = background.wait(self.client())?;
        let begin = client
            .build_transaction()
            .read_only(true)
            .isolation_level(IsolationLevel::RepeatableRead)
            .start();
        let transaction = background.wait(begin).map_err(|error| self.failed(&error))?;
        // Dropping the transaction ends it without waiting.
        work(&Rows { sql: &Tables::new(self, &transaction) })
    }

    /// Runs a write transaction that excludes all others in this space. If `work` fails, nothing is changed. An
    /// [unanswered](Error::is_unanswered) error means that the change may have been made.
    pub(in crate::store) fn write<T>(&self, space: &str, work: impl FnOnce(&Rows) -> Result<T>) -> Result<T> {
        let background = &self.background;
        let failed = |error: tokio_postgres::Error| self.failed(&error);
        let mut client = background.wait(self.client())?;
        let transaction = background.wait(client.transaction()).map_err(failed)?;
        let lock = format!("haul/{}/{space}", self.schema);
        let number: String = background.wait(async {
            let sql = "SELECT pg_current_xact_id()::text, pg_advisory_xact_lock(hashtextextended($1, 0))";
            let statement = transaction.prepare_cached(sql).await.map_err(failed)?;
            Ok::<_, Error>(transaction.query_one(&statement, &[&lock]).await.map_err(failed)?.get(0))
        })?;
        let tables = Tables::new(self, &transaction);
        let value = work(&Rows { sql: &tables })?;
        // After a failed statement, the server rolls back but responds to the commit without an error.
        if let Some(error) = tables.failure() {
            return Err(error);
        }
        match background.wait(transaction.commit()) {
            Ok(()) => Ok(value),
            // The server has rolled the transaction back.
            Err(error) if error.as_db_error().is_some_and(is_answer) => Err(failed(error)),
            Err(error) => {
                // The broken connection must not be used again.
                drop(Client::take(client));
                match self.was_committed(&number) {
                    Some(true) => Ok(value),
                    Some(false) => Err(failed(error)),
                    None => Err(self.error(Kind::Unreachable, LOST, &with_causes(&error)).unanswered()),
                }
            }
        }
    }

    /// Whether the transaction with this number was committed; `None` if that cannot be determined in time.
    fn was_committed(&self, number: &str) -> Option<bool> {
        let sql = "SELECT pg_xact_status(CAST(CAST($1 AS TEXT) AS xid8))";
        let ask = async || {
            let client = self.client().await?;
            let row = client.query_one(sql, &[&number]).await.map_err(|error| self.failed(&error))?;
            Ok::<Option<String>, Error>(row.get(0))
        };
        let begun = Instant::now();
        while begun.elapsed() < RESOLVE {
            match self.background.wait(ask()).ok().flatten().as_deref() {
                Some("committed") => return Some(true),
                Some("aborted") => return Some(false),
                _ => std::thread::sleep(RESOLVE_PAUSE),
            }
        }
        None
    }

    /// Prints a warning unless it was printed within the last minute.
    pub(in crate::store) fn warn(&self, text: String) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        warned.retain(|_, since| since.elapsed() < QUIET);
        if let Entry::Vacant(new) = warned.entry(text) {
            self.warn.say(new.key());
            new.insert(Instant::now());
        }
    }

    /// An error about the index. Only its cause contains the address.
    fn error(&self, kind: Kind, message: &str, reason: &str) -> Error {
        Error::new(kind, message).cause(format!("{}: {reason}", self.shown))
    }

    /// The error for a failed connection or statement.
    pub(in crate::store) fn failed(&self, error: &tokio_postgres::Error) -> Error {
        match error.as_db_error() {
            Some(answer) => self.refused(answer),
            None => self.broken(&with_causes(error)),
        }
    }

    fn broken(&self, reason: &str) -> Error {
        if reason.contains("password missing") {
            return self.rejected("the server requires a password");
        }
        let hint = if reason.contains("invalid peer certificate") {
            "add the certificate authority's PEM file to the address: `sslrootcert=FILE`"
        } else {
            "check that PostgreSQL is running and that the address is correct"
        };
        self.error(Kind::Unreachable, UNREACHABLE, reason).hint(hint)
    }

    fn refused(&self, answer: &DbError) -> Error {
        let (reason, code) = (answer.message(), answer.code());
        if *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
            return self.rejected(reason);
        }
        if *code == SqlState::INVALID_CATALOG_NAME {
            return self
                .error(Kind::Failed, "the index database does not exist", reason)
                .hint(format!("create it: `{}`", self.create));
        }
        if *code == SqlState::INSUFFICIENT_PRIVILEGE {
            let hint = format!("the role needs a schema: `CREATE SCHEMA {} AUTHORIZATION ROLE`", self.schema);
            return self
                .error(Kind::Auth, "the index's PostgreSQL role lacks a permission", reason)
                .hint(hint);
        }
        if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
            return self
                .error(Kind::Unreachable, "the index database is read-only", reason)
                .hint("use the address of the primary server, or add `target_session_attrs=read-write`");
        }
        if *code == SqlState::LOCK_NOT_AVAILABLE {
            let message = "the index is busy: another transaction has been changing it for a minute";
            return self.error(Kind::Unreachable, message, reason);
        }
        if *code == SqlState::PROGRAM_LIMIT_EXCEEDED {
            return self.error(Kind::Unsupported, "a name or an id is too long for the index", reason);
        }
        if *code == SqlState::TOO_MANY_CONNECTIONS {
            return self
                .error(Kind::Unreachable, "the index database has too many connections", reason)
                .hint(format!("each `haul serve` uses up to {CONNECTIONS} connections: raise `max_connections` in PostgreSQL"));
        }
        let is_leaving = [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ];
        if is_leaving.contains(code) {
            return self.error(Kind::Unreachable, UNREACHABLE, reason);
        }
        let mut reason = format!("{reason} ({})", code.code());
        if let Some(detail) = answer.detail() {
            let _ = write!(reason, ": {detail}");
        }
        self.error(Kind::Unreachable, "cannot access the index", &reason)
    }

    fn rejected(&self, reason: &str) -> Error {
        self.error(Kind::Auth, "the index database rejected the login", reason)
            .hint("set PGPASSWORD, or add a line to ~/.pgpass (mode 0600)")
            .hint(format!("to try the login: `psql {}`", word(&self.shown)))
    }
}

/// Whether the server keeps the connection open after this error, so that the error is the outcome.
fn is_answer(error: &DbError) -> bool {
    !matches!(error.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
}
