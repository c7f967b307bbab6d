//! Lists that come in pages.

use anyhow::Result;
use ordermill_client::Error;
use ordermill_core::limits::PAGE_ENTRIES_MAX;

use super::Global;
use crate::output;

/// How much of a list to show.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct PageArgs {
    /// Entries to show
    #[arg(long, default_value_t = 50, value_name = "N", conflicts_with = "all")]
    limit: usize,
    /// Show all of them
    #[arg(long)]
    all: bool,
}

/// A part of a list, from its beginning.
pub struct Listed<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// Whether there are more.
    pub is_more: bool,
}

impl PageArgs {
    /// Fetches as many entries as asked for. `fetch` takes a cursor and a number of entries, and gives a page with the next cursor.
    pub async fn gather<T>(
        self,
        mut fetch: impl AsyncFnMut(Option<&str>, Option<usize>) -> Result<(Vec<T>, Option<String>), Error>,
    ) -> Result<Listed<T>> {
        let mut left = if self.all { usize::MAX } else { self.limit };
        let (mut entries, mut cursor) = (Vec::new(), None::<String>);
        while left > 0 {
            let (page, next) = fetch(cursor.as_deref(), Some(left.min(PAGE_ENTRIES_MAX))).await?;
            left = left.saturating_sub(page.len());
            entries.extend(page);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(Listed { entries, is_more: cursor.is_some() })
    }
}

/// Says how to see the rest.
pub fn hint(is_more: bool, global: &Global) -> std::io::Result<()> {
    if is_more && !global.json {
        output::line("There are more; --limit N or --all shows them.")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages of a list of a thousand numbers.
    async fn page(cursor: Option<&str>, limit: Option<usize>) -> Result<(Vec<usize>, Option<String>), Error> {
        let begin = cursor.map_or(0, |cursor| cursor.parse().expect("a number"));
        let end = (begin + limit.expect("a number of entries")).min(1_000);
        Ok(((begin..end).collect(), (end < 1_000).then(|| end.to_string())))
    }

    async fn gather(limit: usize, all: bool) -> (usize, bool) {
        let listed = PageArgs { limit, all }.gather(page).await.expect("pages");
        assert!(listed.entries.iter().copied().eq(0..listed.entries.len()));
        (listed.entries.len(), listed.is_more)
    }

    #[tokio::test]
    async fn as_many_as_asked_for_are_gathered() {
        assert_eq!(gather(3, false).await, (3, true));
        assert_eq!(gather(700, false).await, (700, true));
        assert_eq!(gather(1_000, false).await, (1_000, false));
        assert_eq!(gather(50, true).await, (1_000, false));
    }
}
