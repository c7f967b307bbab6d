//! The model check: every state that one order and its provider can reach is visited.
//!
//! In every state no invariant is broken; where nothing is left to do, no order that is off keeps money, and our books equal the
//! provider's; and from everywhere a clean end can be reached by what happens by itself, or by a person who was asked.

use std::collections::{HashMap, VecDeque};

use ordermill_core::order::Status;
use ordermill_core::payment::OperationKind;

use crate::support::model::{Action, Chances, State};

/// The graph, as far as the questions go.
#[derive(Default)]
struct Walk {
    numbers: HashMap<Vec<u8>, usize>,
    /// How each state was first reached.
    parents: Vec<Option<(usize, Action)>>,
    /// Which states lead to each by a fair action.
    fair_parents: Vec<Vec<usize>>,
    clean: Vec<usize>,
    ends: std::collections::BTreeSet<(Status, bool)>,
}

impl Walk {
    fn of(start: State) -> Self {
        let mut walk = Self::default();
        let mut queue = VecDeque::new();
        walk.number(&start, None, &mut queue);
        while let Some((number, state)) = queue.pop_front() {
            let violations = state.violations();
            assert!(violations.is_empty(), "{violations:#?}\nafter {:#?}\n{:#?}", walk.path(number), state.order);
            if state.is_clean() {
                walk.clean.push(number);
                let is_captured =
                    state.order.payment.last(OperationKind::Capture).is_some() && state.order.payment.captured > 0;
                walk.ends.insert((state.order.status, is_captured));
            }
            for action in state.actions() {
                let Some(next) = state.after(action) else { continue };
                let next = walk.number(&next, Some((number, action)), &mut queue);
                if action.is_fair() && next != number {
                    walk.fair_parents[next].push(number);
                }
            }
        }
        walk
    }

    /// The number of a state; a new one is put into the queue.
    fn number(
        &mut self,
        state: &State,
        parent: Option<(usize, Action)>,
        queue: &mut VecDeque<(usize, State)>,
    ) -> usize {
        let next = self.parents.len();
        let number = *self.numbers.entry(state.fingerprint()).or_insert(next);
        if number == next {
            self.parents.push(parent);
            self.fair_parents.push(Vec::new());
            queue.push_back((number, state.clone()));
        }
        number
    }

    /// The shortest way to a state.
    fn path(&self, mut number: usize) -> Vec<Action> {
        let mut path = Vec::new();
        while let Some((parent, action)) = self.parents[number] {
            path.push(action);
            number = parent;
        }
        path.reverse();
        path
    }

    /// States from which fair actions lead to no clean end.
    fn dead_ends(&self) -> Vec<usize> {
        let mut is_live = vec![false; self.parents.len()];
        let mut stack = self.clean.clone();
        while let Some(number) = stack.pop() {
            if !std::mem::replace(&mut is_live[number], true) {
                stack.extend(&self.fair_parents[number]);
            }
        }
        (0..is_live.len()).filter(|number| !is_live[*number]).collect()
    }

    fn assert_no_dead_end(&self) {
        let dead_ends = self.dead_ends();
        assert!(
            dead_ends.is_empty(),
            "{} of {} states are dead ends; the nearest is reached by {:#?}",
            dead_ends.len(),
            self.parents.len(),
            self.path(dead_ends[0])
        );
    }
}

const ALL: Chances = Chances { expiry: true, refund: true, refusal: true };

/// Walks from an order in stock, and finds every end.
fn check_order_in_stock(chances: Chances) {
    let walk = Walk::of(State::new(5, chances));
    eprintln!("{chances:?}: {} states", walk.parents.len());
    walk.assert_no_dead_end();
    let mut expected = vec![(Status::Confirmed, true)];
    expected.extend((chances.refusal || chances.expiry).then_some((Status::Rejected, false)));
    // The reservation was over, and the capture had won at the provider.
    expected.extend(chances.expiry.then_some((Status::Rejected, true)));
    expected.extend([(Status::Cancelled, false), (Status::Cancelled, true)]);
    assert_eq!(
        walk.ends.iter().copied().collect::<Vec<_>>(),
        expected,
        "every end is reached, or the walk shows nothing"
    );
}

#[test]
fn an_order_always_ends_clean_though_time_runs_out() {
    check_order_in_stock(Chances { refund: false, refusal: false, ..ALL });
}

#[test]
fn an_order_always_ends_clean_though_the_provider_refuses() {
    check_order_in_stock(Chances { expiry: false, refund: false, ..ALL });
}

#[test]
fn an_order_always_ends_clean_though_money_is_asked_back() {
    check_order_in_stock(Chances { expiry: false, refusal: false, ..ALL });
}

#[test]
fn an_order_always_ends_clean_whatever_happens() {
    check_order_in_stock(ALL);
}

#[test]
fn an_order_that_is_short_always_ends_clean() {
    let walk = Walk::of(State::new(1, ALL));
    walk.assert_no_dead_end();
    assert!(walk.ends.iter().all(|(status, is_captured)| status.is_called_off() && !is_captured), "{:?}", walk.ends);
}
