//! For whoever starts a program that cannot open its ledger: which one, and what to do about it.

use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;

use crate::error::{ConnectError, OpenError, StoreError};
use crate::options::Options;

/// Where a server listens unless told otherwise.
pub(crate) const PORT_DEFAULT: u16 = 5432;

/// Nobody said no: there was no answer, or none that could be understood.
const NO_ANSWER: &str = "is the server running there, and does it speak TLS where `sslmode` asks for it?";

/// The server asks for a password, or does not take the one it got.
const PASSWORD: &str = "the ledger's URL says where the password is: `?password=env:NAME` or `?password=file:PATH`";

/// The name of the host leads nowhere.
const NO_HOST: &str = "is the host's name spelt as it should be?";

/// What can be done where the server itself did not say no.
fn of_no_answer(error: &tokio_postgres::Error) -> &'static str {
    // Neither has a kind of its own that could be asked for.
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match &*cause {
        "password missing" => PASSWORD,
        cause if cause.starts_with("failed to lookup address") => NO_HOST,
        _ => NO_ANSWER,
    }
}

impl Options {
    /// Which database of which server, for messages: `PostgreSQL on db:5432, database "orders", schema "ordermill"`.
    #[must_use]
    pub fn place(&self) -> String {
        let ports = self.server.get_ports();
        let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(PORT_DEFAULT);
        let host = |(index, host): (usize, &Host)| match host {
            Host::Tcp(name) => format!("{name}:{}", port(index)),
            Host::Unix(folder) => format!("{}/.s.PGSQL.{}", folder.display(), port(index)),
        };
        let hosts: Vec<String> = self.server.get_hosts().iter().enumerate().map(host).collect();
        let database = self.server.get_dbname().or(self.server.get_user()).unwrap_or_default();
        format!("PostgreSQL on {}, database {database:?}, schema {:?}", hosts.join(" or "), self.schema)
    }
}

impl OpenError {
    /// What can be done about it, where the error does not say so itself.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        let error = match self {
            Self::Store(StoreError::Postgres(error) | StoreError::Connect(ConnectError::Postgres(error))) => error,
            Self::Store(StoreError::TimedOut) => return Some(NO_ANSWER),
            _ => return None,
        };
        let Some(code) = error.code() else { return Some(of_no_answer(error)) };
        let advice = [
            (SqlState::INVALID_CATALOG_NAME, "make the database first, with `createdb`"),
            (SqlState::INVALID_PASSWORD, PASSWORD),
            (SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "the server's pg_hba.conf says who is let in, and how"),
            (
                SqlState::INSUFFICIENT_PRIVILEGE,
                "the user needs the right to make a schema, or one of their own: `CREATE SCHEMA … AUTHORIZATION …`; \
                 or all rights on the one that is there",
            ),
            (
                SqlState::TOO_MANY_CONNECTIONS,
                "`postgres.connections` of all processes together must stay below the server's max_connections",
            ),
            (SqlState::CANNOT_CONNECT_NOW, "try again when the server has started"),
            (SqlState::READ_ONLY_SQL_TRANSACTION, "this server is a standby, or read-only: name the primary"),
        ];
        advice.into_iter().find_map(|(state, advice)| (state == *code).then_some(advice))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ordermill_ports::clock::SystemClock;

    use super::*;

    #[test]
    fn a_place_is_named_without_its_user_and_password() {
        let place = |url: &str| Options::from_url(url, Arc::new(SystemClock)).expect("a sound URL").place();
        let expected = "PostgreSQL on db:5433, database \"shop\", schema \"north\"";
        assert_eq!(place("postgres://ann@db:5433/shop?schema=north&password=env:SECRET"), expected);
        let expected = "PostgreSQL on a:5432 or b:5432, database \"shop\", schema \"ordermill\"";
        assert_eq!(place("postgres://shop@a,b"), expected);
        let expected = "PostgreSQL on /run/pg/.s.PGSQL.5432, database \"shop\", schema \"ordermill\"";
        assert_eq!(place("postgres:///shop?host=/run/pg"), expected);
    }
}
