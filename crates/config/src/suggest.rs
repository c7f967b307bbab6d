//! "Did you mean": the nearest known name.

/// The candidate nearest to `given`, if it is near enough to be a slip of the pen: at most a third of its letters differ.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (distance(&given, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(3)) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, delete, replace or swap with their neighbour to get from one text to the other.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for row in 1..=from.len() {
        let mut next = vec![row; to.len() + 1];
        for column in 1..=to.len() {
            let replace = rows[row - 1][column - 1] + usize::from(from[row - 1] != to[column - 1]);
            let mut best = replace.min(rows[row - 1][column] + 1).min(next[column - 1] + 1);
            let swapped = row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1];
            if swapped {
                best = best.min(rows[row - 2][column - 2] + 1);
            }
            next[column] = best;
        }
        rows.push(next);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognized_and_other_words_are_not() {
        let names = ["listen", "ledger", "process.reservation_ttl"];
        assert_eq!(nearest("lisetn", names), Some("listen"));
        assert_eq!(nearest("LEDGR", names), Some("ledger"));
        assert_eq!(nearest("process.reservation_tll", names), Some("process.reservation_ttl"));
        assert_eq!(nearest("colour", names), None);
    }

    #[test]
    fn a_swap_is_one_step() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
