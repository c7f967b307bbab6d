//! The list of cases, and the macros that make each a test of its own. A test below holds that no case is missing here.

/// Makes every case for a ledger, its queries and its bus a test. Takes an expression that gives a new
/// [`Harness`](crate::conformance::Harness); it is evaluated once per test, inside a module, so name things by `crate::`.
#[macro_export]
macro_rules! ledger_suite {
    ($harness:expr) => {
        $crate::conformance_cases! { $harness;
            bus::dead_letters {
                a_dead_letter_can_be_redriven, a_dead_letter_counts_its_tries, a_dead_letter_is_kept,
                a_redrive_wakes_the_receiver, dead_letters_are_listed,
            }
            bus::delivery {
                a_commit_wakes_the_receiver, a_laggard_does_not_block_the_rest, a_receive_can_be_given_up,
                batches_are_bounded, each_role_gets_what_it_reacts_to, giving_back_wakes_the_receiver,
                nothing_is_lost_under_load, receivers_share_a_role, what_is_given_back_comes_again,
                what_is_due_does_not_starve_what_is_new, what_is_new_does_not_starve_what_is_due,
                what_is_reclaimed_comes_again,
            }
            bus::lag {
                other_roles_events_are_no_lag, parked_deliveries_are_counted, the_lag_follows_the_work,
            }
            bus::settling {
                a_refused_input_settles_all_the_same, a_retry_can_be_given_back, a_retry_comes_when_it_is_due,
                a_retry_without_a_wait_comes_at_once, a_settlement_may_come_twice, an_effect_takes_its_delivery_along,
                a_retry_wakes_the_receiver, an_unchanged_input_settles, parked_deliveries_hold_up_nothing, roles_settle_apart,
            }
            bus::stale {
                a_redriven_delivery_is_not_settled_from_before, a_word_on_an_earlier_try_changes_nothing,
                a_word_on_what_is_settled_changes_nothing, what_is_back_can_still_be_settled,
            }
            bus::subjects {
                a_move_is_parked_given_up_and_redriven, a_move_wakes_the_receiver, a_record_is_told_once,
                tracking_hears_of_moves_alone,
            }
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
            ledger::customers {
                a_customer_put_again_changes_nothing, a_deleted_customer_can_be_put_again,
                customer_changes_are_guarded_by_version, customers_of_one_call_follow_each_other,
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
            ledger::parcels {
                a_parcel_is_apart_from_its_order, a_parcel_takes_so_many_events, a_refused_report_is_kept_once,
                an_older_report_is_late, concurrent_reports_move_a_parcel_once, equal_instants_are_not_late,
                parcels_interleave_in_one_call, reports_of_one_call_follow_each_other, the_carriers_states_decide,
                the_same_report_again_is_a_duplicate,
            }
            ledger::process {
                a_declined_payment_rejects, a_refused_capture_undoes_everything, an_order_goes_all_the_way,
                an_unknown_answer_is_found_out, an_unknown_order_is_refused, attention_is_raised_and_cleared,
                events_name_their_cause, refunds_never_exceed_what_was_taken, returned_goods_can_be_sold_again,
            }
            ledger::property { random_history_1, random_history_2, random_history_3, }
            ledger::products {
                a_deleted_product_can_be_put_again, a_deleted_product_cannot_be_ordered,
                deletes_are_guarded_by_version,
            }
            ledger::records {
                a_record_is_stored_once, a_record_is_taken_once, an_unknown_record_is_refused,
                records_of_one_call_follow_each_other, the_same_key_gives_the_first_record,
            }
            ledger::references {
                a_contested_reference_has_one_order, a_key_beside_a_known_reference_is_kept,
                a_reference_within_one_call, a_taken_reference_is_refused, the_same_order_id_is_the_same_order,
                the_same_reference_is_the_same_order,
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
            ledger::unpaid {
                a_paid_order_is_not_called_off, an_unpaid_order_is_called_off, giving_up_races_with_capture,
                the_first_of_capture_and_giving_up_wins,
            }
            queries::catalogue {
                an_unknown_product_is_none, several_products_are_had_at_once, lists_go_by_id,
            }
            queries::customer_lists {
                an_unknown_customer_is_none, customers_are_listed_by_id, deleted_products_are_hidden,
            }
            queries::feed {
                an_orders_events_are_those_of_the_feed, nothing_is_skipped_while_others_commit,
                the_feed_can_be_resumed_anywhere,
            }
            queries::lists {
                a_text_is_searched_exactly, changes_do_not_move_an_order_in_the_list, every_filter_picks_its_orders,
                pages_are_stable_while_orders_come_in, the_last_page_is_the_last,
            }
            queries::orders {
                events_begin_behind_a_version, every_field_comes_back, orders_are_counted, orders_come_as_asked,
                reads_see_every_answered_commit, the_end_of_the_mailbox_is_kept,
            }
            queries::parcel_waits {
                a_follower_misses_nothing, a_move_that_comes_is_told_to_all,
                a_move_that_has_happened_is_given_at_once, a_wait_for_a_parcel_can_be_given_up,
                a_watcher_sees_the_delivery, growth_is_told, the_head_is_the_newest_position,
            }
            queries::parcel_lists {
                a_move_takes_a_parcel_to_another_list, a_parcels_events_are_those_of_the_feed,
                an_unknown_parcel_is_none, pages_of_parcels_are_stable, parcels_are_listed_newest_first,
            }
            queries::record_lists {
                an_unknown_record_is_none, every_filter_picks_its_records, storing_does_not_move_a_record,
            }
            queries::waits {
                a_change_that_comes_is_told_to_all, a_change_that_has_happened_is_given_at_once, a_wait_can_be_given_up,
                a_watcher_sees_the_end, an_order_can_be_awaited_before_it_is_placed,
            }
        }
    };
}

/// Makes every case for a ledger whose commits outlive the process a test, beside those of [`ledger_suite!`](crate::ledger_suite).
#[macro_export]
macro_rules! durable_suite {
    ($harness:expr) => {
        $crate::conformance_cases! { @module $harness; durable = durable;
            a_random_history_survives_reopening, answers_given_while_closing_are_kept, dead_letters_outlive_the_process,
            keys_and_references_outlive_the_process, orders_go_on_where_they_were, sums_outlive_the_process,
            unsettled_deliveries_come_again, what_is_beside_orders_outlives_the_process,
        }
    };
}

/// Makes every case for what the auditor reads a test. Takes an expression that gives a new
/// [`Audited`](crate::conformance::Audited).
#[macro_export]
macro_rules! snapshot_suite {
    ($harness:expr) => {
        $crate::conformance_cases! { @module $harness; snapshot = snapshot;
            a_snapshot_is_one_moment, a_snapshot_shows_what_is_beside_orders, a_snapshot_shows_what_is_stored, a_visit_ends_with_an_error,
        }
    };
}

/// Makes every case for moving a ledger a test. Takes an expression that gives a new [`Movable`](crate::conformance::Movable).
#[macro_export]
macro_rules! moving_suite {
    ($harness:expr) => {
        $crate::conformance_cases! { @module $harness; moving = moving;
            a_ledger_in_use_says_so, an_import_is_gone_on_with, everything_arrives, only_an_empty_ledger_is_filled,
        }
    };
}

/// Makes each named case a test. For the suites of this crate; call those.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($harness:expr; $($port:ident::$module:ident { $($case:ident,)+ })+) => {
        $($crate::conformance_cases! { @module $harness; $module = $port::$module; $($case,)+ })+
    };
    (@module $harness:expr; $name:ident = $($path:ident)::+; $($case:ident,)+) => {
        mod $name {
            use $crate::conformance::{run, $($path)::+ as cases};

            $(
                #[test]
                fn $case() {
                    run($harness, async |harness| cases::$case(harness).await);
                }
            )+
        }
    };
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    fn sources(dir: &Path) -> Vec<PathBuf> {
        let entries =
            std::fs::read_dir(dir).expect("the sources are there").map(|entry| entry.expect("readable").path());
        entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }

    /// The cases that the suites name for a module: `ledger::keys { … }`, or `durable = durable; … }`.
    fn listed<'a>(suites: &'a str, module: &str) -> Vec<&'a str> {
        let starts = [format!("{module} {{"), format!("{module} = {module};")];
        let rest = starts.iter().find_map(|start| suites.split_once(start.as_str())).map(|(_, rest)| rest);
        let block = rest.and_then(|rest| rest.split_once('}')).map(|(block, _)| block).unwrap_or_default();
        block.split(',').map(str::trim).collect()
    }

    /// Name and parameters of a function, from its name on.
    fn signature(source: &str) -> Option<(&str, &str)> {
        let (name, rest) = source.split_once('(')?;
        Some((name, rest.split_once(") {")?.0))
    }

    #[test]
    fn every_case_is_in_a_suite() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance");
        let suites = std::fs::read_to_string(root.join("suites.rs")).expect("this file is there");
        let mut cases = 0;
        for path in sources(&root) {
            let source = std::fs::read_to_string(&path).expect("readable");
            if source.contains("\npub trait Harness") {
                // A suite of a gateway, with a harness and a list of its own.
                continue;
            }
            let module = path.strip_prefix(&root).expect("it is below").with_extension("");
            let module = module.to_string_lossy().replace('/', "::");
            for rest in source.split("\npub async fn ").skip(1) {
                let Some((case, "harness: &dyn Harness" | "harness: &dyn Audited" | "harness: &dyn Movable")) =
                    signature(rest)
                else {
                    continue;
                };
                cases += 1;
                assert!(listed(&suites, &module).contains(&case), "{case} of {module} is in no suite");
            }
        }
        assert!(cases > 100, "the search finds the cases: {cases}");
    }
}
