//! What cannot be read, so that the auditor goes on with the rest.

use ordermill_ports::audit::AuditError;

use crate::error::StoreError;

/// So many are told by name; the rest is counted.
const NAMED_MAX: usize = 1_000;

/// What was passed over.
#[derive(Debug, Default)]
pub(super) struct Unread {
    named: Vec<String>,
    more: usize,
}

impl Unread {
    /// What was read; `None`, with a note under this name, where what is stored cannot be read.
    ///
    /// # Errors
    /// Everything else that went wrong: that is no damage.
    pub(super) fn sift<T>(
        &mut self,
        read: Result<T, StoreError>,
        name: impl FnOnce() -> String,
    ) -> Result<Option<T>, AuditError> {
        match read {
            Ok(read) => return Ok(Some(read)),
            Err(StoreError::Unreadable(_)) if self.named.len() >= NAMED_MAX => self.more += 1,
            Err(StoreError::Unreadable(why)) => self.named.push(format!("{} cannot be read: {why}", name())),
            Err(error) => return Err(error.into()),
        }
        Ok(None)
    }

    /// All of it so far, in words; it is not told again.
    pub(super) fn take(&mut self) -> Vec<String> {
        let mut all = std::mem::take(&mut self.named);
        let more = std::mem::take(&mut self.more);
        if more > 0 {
            all.push(format!("{more} more cannot be read"));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_told_once_and_no_more_than_fits() {
        let mut unread = Unread::default();
        assert_eq!(unread.sift(Ok(1), || unreachable!()).expect("it is read"), Some(1));
        for number in 0..NAMED_MAX + 2 {
            let damaged = Err::<(), _>(StoreError::Unreadable("no JSON".to_owned()));
            assert_eq!(unread.sift(damaged, || number.to_string()).expect("it is passed over"), None);
        }
        assert!(unread.sift::<()>(Err(StoreError::Closed), || unreachable!()).is_err(), "this is no damage");
        let told = unread.take();
        assert_eq!(told.len(), NAMED_MAX + 1);
        assert_eq!(
            (told[0].as_str(), told[NAMED_MAX].as_str()),
            ("0 cannot be read: no JSON", "2 more cannot be read")
        );
        assert_eq!(unread.take(), Vec::<String>::new());
    }
}
