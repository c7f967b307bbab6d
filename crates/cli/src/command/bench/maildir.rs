//! Mails as they arrive in a maildir: the system tells of each, so that nobody has to list a directory that grows all the time.

use std::collections::HashSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::mailbox::{POLL, Shared};

/// Room for some hundred names.
const EVENTS_BYTES: usize = 64 * 1024;

/// What arrives in a maildir.
pub(super) struct Arrivals {
    watch: OwnedFd,
    new: PathBuf,
    /// Names that were seen: a mail that is handed over again replaces its file, and is no second mail.
    seen: HashSet<Box<[u8]>>,
}

impl Arrivals {
    /// Watches from now on; makes the directory where there is none yet.
    pub(super) fn watch(maildir: &Path) -> io::Result<Self> {
        let new = maildir.join("new");
        std::fs::create_dir_all(&new)?;
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        inotify::add_watch(&watch, &new, WatchFlags::MOVED_TO)?;
        let mut arrivals = Self { watch, new, seen: HashSet::new() };
        // Watched first and listed then: what comes in between is in both, and known by its name.
        arrivals.list(&mut |_| {})?;
        Ok(arrivals)
    }

    /// Tells of each new mail until nobody wants to know of more.
    pub(super) fn read(&mut self, shared: &Shared) -> io::Result<()> {
        let mut buffer = vec![MaybeUninit::uninit(); EVENTS_BYTES];
        let mut see = |name: &[u8]| {
            if let Some(name) = name.strip_prefix(b"ord_") {
                shared.see(name);
            }
        };
        loop {
            let mut is_overrun = false;
            let mut events = Reader::new(&self.watch, &mut buffer);
            loop {
                match events.next() {
                    Ok(event) => {
                        is_overrun |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                        let name = event.file_name().map(std::ffi::CStr::to_bytes).unwrap_or_default();
                        if !name.is_empty() && self.seen.insert(name.into()) {
                            see(name);
                        }
                    }
                    Err(Errno::AGAIN) => break,
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if is_overrun {
                // The system has lost some: they are found by looking.
                self.list(&mut see)?;
            } else if shared.is_over() {
                return Ok(());
            } else {
                std::thread::sleep(POLL);
            }
        }
    }

    fn list(&mut self, see: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.new)? {
            let name = entry?.file_name();
            let name = name.as_encoded_bytes();
            if !self.seen.contains(name) {
                self.seen.insert(name.into());
                see(name);
            }
        }
        Ok(())
    }
}
