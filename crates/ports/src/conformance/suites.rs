//! The list of cases, and the macros that make each a test of its own. A test below holds that no case is missing here.

/// Makes every case for a ledger, its queries and its bus a test. Takes an expression that gives a new
/// [`Harness`](crate::conformance::Harness); it is evaluated once per test, inside a module, so name things by `crate::`.
#[macro_export]
macro_rules! ledger_suite {
    ($harness:expr) => {
        $crate::conformance_cases! { $harness;
            ledger::admission {
                a_decided_order_makes_room, an_order_beyond_the_room_is_refused_after_a_wait, everything_else_passes,
                what_fits_is_taken,
            }
            ledger::calls {
                an_empty_call_is_answered, concurrent_callers_add_up, inputs_about_one_order_follow_each_other,
                inputs_about_one_product_follow_each_other, nothing_is_answered_with_nothing, one_bad_input_spares_the_others,
                the_largest_call_is_answered,
            }
            ledger::closing {
                a_closed_ledger_takes_nothing, whoever_is_under_way_is_answered, whoever_waits_for_room_is_told,
            }
            ledger::deadlines {
                a_reservation_expires, a_state_that_lasts_is_reported_once, an_unknown_answer_ends_in_attention,
                the_oldest_deadline_comes_first,
            }
            ledger::keys {
                a_key_expires, a_refund_is_asked_for_once, a_refused_request_leaves_its_key_free, a_stock_change_is_made_once,
                an_undecided_order_keeps_its_key, another_key_is_another_order, concurrent_twins_make_one_order,
                the_same_key_gives_the_first_answer, the_same_key_with_another_body_is_refused,
                twins_in_one_call_make_one_order,
            }
            ledger::late {
                a_cancel_behind_the_capture_refunds, a_late_authorization_is_voided, a_late_capture_is_refunded,
                a_parcel_of_a_cancelled_order_asks_a_person, a_result_from_two_sides_counts_once,
                a_void_that_finds_the_money_taken, an_answer_to_a_past_attempt_is_passed_over, cancel_races_with_capture,
                every_result_may_come_twice,
            }
            ledger::process {
                a_declined_payment_rejects, a_refused_capture_undoes_everything, an_order_goes_all_the_way,
                an_unknown_answer_is_found_out, an_unknown_order_is_refused, attention_is_raised_and_cleared,
                events_name_their_cause, refunds_never_exceed_what_was_taken, returned_goods_can_be_sold_again,
            }
            ledger::property { random_history_1, random_history_2, random_history_3, }
            ledger::references {
                a_contested_reference_has_one_order, a_reference_within_one_call, a_taken_reference_is_refused,
                the_same_order_id_is_the_same_order, the_same_reference_is_the_same_order,
            }
            ledger::shortage {
                a_product_without_stock_is_short, a_reservation_is_all_or_none, a_thousand_at_once_never_oversell,
                a_unit_given_back_can_be_reserved, an_order_of_161_lines, an_order_of_500_lines,
                lines_of_one_product_count_together, the_last_unit_in_one_call,
            }
            ledger::stock {
                a_product_put_again_changes_nothing, setting_stock_leaves_what_is_held, stock_changes_are_guarded_by_version,
                stock_opens_once, stock_stays_in_its_range, the_catalogue_decides_what_can_be_ordered,
            }
        }
    };
}

/// Makes each named case a test. For the suites of this crate; call those.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($harness:expr; $($port:ident::$module:ident { $($case:ident,)+ })+) => {
        $($crate::conformance_cases! { @module $harness; $port $module $($case)+ })+
    };
    (@module $harness:expr; $port:ident $module:ident $($case:ident)+) => {
        mod $module {
            $(
                #[test]
                fn $case() {
                    $crate::conformance::run($harness, $crate::conformance::$port::$module::$case);
                }
            )+
        }
    };
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    fn sources(dir: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir).expect("the sources are there").map(|entry| entry.expect("readable").path());
        entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn every_case_is_in_a_suite() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance");
        let suites = std::fs::read_to_string(root.join("suites.rs")).expect("this file is there");
        let mut cases = 0;
        for path in sources(&root) {
            let source = std::fs::read_to_string(&path).expect("readable");
            for rest in source.split("\npub async fn ").skip(1) {
                let Some((case, _)) = rest.split_once("(harness: &dyn Harness) {") else { continue };
                cases += 1;
                let listed = suites.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == case);
                assert!(listed, "{case} of {} is in no suite", path.display());
            }
        }
        assert!(cases > 50, "the search finds the cases: {cases}");
    }
}
