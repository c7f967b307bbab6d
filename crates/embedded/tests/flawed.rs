//! The suites find what they look for: adapters with one flaw each, and the case that has to fail on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::id::{CustomerId, OrderId, OrderRef, ParcelId, ProductId, RecordId};
use ordermill_core::input::Body;
use ordermill_core::order::Order;
use ordermill_core::parcel::{Parcel, ParcelStatus, Verdict};
use ordermill_core::process::Role;
use ordermill_core::product::Product;
use ordermill_core::record::Record;
use ordermill_core::stock::StockLevel;
use ordermill_embedded::memory::MemoryLedger;
use ordermill_ports::bus::{Bus, BusError, DeadLetter, Delivery, Lag};
use ordermill_ports::conformance::{Backend, Harness, Settings, run};
use ordermill_ports::ledger::{Ledger, Outcome, OutcomeSubject, Source, Submission, SubmitError};
use ordermill_ports::queries::{Committed, Counts, Deleted, OrderFilter, Page, QueryError, RecordFilter};
use ordermill_ports::{Position, Queries};
use parking_lot::Mutex;

/// What is wrong with the adapter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    ForgetsKeys,
    ForgetsSettlements,
    SettlesOnlyWhatIsTaken,
    TurnsCallsRound,
    TakesEverything,
    NeverCloses,
    SkipsAnEvent,
    ReadsStaleOrders,
    ListsInclusively,
    MissesDeadlines,
    WakesTooSoon,
    DeliversTwice,
    ForgetsWhatIsGivenBack,
    ReclaimsNothing,
    ForgetsTries,
    LosesDeadLetters,
    ClaimsToKeepUp,
    SettlesWhateverIsOut,
    TakesBackItsWord,
    SparesNobody,
    CallsEverythingMoved,
    ShowsWhatIsDeleted,
    ListsEveryParcel,
    ListsOldestFirst,
    ListsEveryRecord,
    ReadsBehindTheHead,
    GrowsByItself,
}

/// The ledger in memory, with one flaw.
struct Flawed {
    sound: Arc<MemoryLedger>,
    flaw: Flaw,
    /// Whether anything was delivered.
    delivered: AtomicBool,
    /// How often each delivery that is out was tried before.
    tries_out: Mutex<BTreeMap<Position, u32>>,
    /// What was given back last.
    back: Mutex<Vec<Position>>,
}

#[async_trait]
impl Harness for Flaw {
    async fn open(&self, settings: &Settings) -> Backend {
        let undecided_max = if *self == Self::TakesEverything { usize::MAX } else { settings.undecided_max };
        let sound = MemoryLedger::new(settings.policy.clone(), Arc::clone(&settings.clock) as _, undecided_max);
        let (delivered, tries_out, back) = (AtomicBool::new(false), Mutex::default(), Mutex::default());
        Backend::of(&Arc::new(Flawed { sound, flaw: *self, delivered, tries_out, back }))
    }

    /// What is to come out of memory comes at once, and what is lost is waited for in vain.
    fn patience(&self) -> std::time::Duration {
        std::time::Duration::from_secs(1)
    }
}

#[async_trait]
impl Ledger for Flawed {
    async fn submit(&self, source: Source, mut submissions: Vec<Submission>) -> Vec<Result<Outcome, SubmitError>> {
        submissions.iter_mut().for_each(|submission| self.spoil(submission));
        match self.flaw {
            Flaw::ForgetsKeys => submissions.iter_mut().for_each(|submission| submission.input.key = None),
            Flaw::ForgetsSettlements => submissions.iter_mut().for_each(|submission| submission.settles = None),
            Flaw::TurnsCallsRound => submissions.reverse(),
            Flaw::SettlesOnlyWhatIsTaken => {
                let mut results = Vec::new();
                for mut submission in submissions {
                    let settlement = submission.settles.take();
                    let result = self.sound.submit(source, vec![submission]).await.remove(0);
                    if let (Ok(_), Some(settlement)) = (&result, settlement) {
                        self.sound.submit(source, vec![Submission::settle(settlement)]).await;
                    }
                    results.push(result);
                }
                return results;
            }
            _ => {}
        }
        let mut results = self.sound.submit(source, submissions).await;
        if self.flaw == Flaw::TurnsCallsRound {
            results.reverse();
        }
        for outcome in results.iter_mut().flatten() {
            if let (Flaw::CallsEverythingMoved, OutcomeSubject::Parcel { verdict, .. }) =
                (self.flaw, &mut outcome.subject)
            {
                *verdict = Verdict::Moved;
            }
        }
        results
    }

    async fn ready(&self) -> Result<(), String> {
        self.sound.ready().await
    }

    async fn close(&self) {
        if self.flaw != Flaw::NeverCloses {
            self.sound.close().await;
        }
    }
}

impl Flawed {
    /// What the flaw does to one submission.
    fn spoil(&self, submission: &mut Submission) {
        if let (Flaw::SparesNobody, Body::CancelUnpaid { order_id, reason }) = (self.flaw, &submission.input.body) {
            submission.input.body = Body::Cancel { order_id: *order_id, reason: reason.clone() };
        }
        let Some(settlement) = &mut submission.settles else { return };
        let position = settlement.delivery.position;
        match self.flaw {
            Flaw::SettlesWhateverIsOut => {
                settlement.delivery.tries = self.tries_out.lock().get(&position).copied().unwrap_or_default();
            }
            Flaw::TakesBackItsWord if self.back.lock().contains(&position) => submission.settles = None,
            _ => {}
        }
    }
}

#[async_trait]
impl Queries for Flawed {
    async fn order(&self, id: OrderId) -> Result<Option<Arc<Order>>, QueryError> {
        let order = self.sound.order(id).await?;
        if self.flaw != Flaw::ReadsStaleOrders {
            return Ok(order);
        }
        let mut events = self.sound.order_events(id, 0).await?;
        if events.len() > 1 {
            events.pop();
        }
        let stale = Order::fold(id, events.iter().map(|event| (&event.recorded.event, event.recorded.at)));
        Ok(stale.map(Arc::new))
    }

    async fn orders(&self, ids: &[OrderId]) -> Result<Vec<Option<Arc<Order>>>, QueryError> {
        self.sound.orders(ids).await
    }

    async fn order_by_ref(&self, order_ref: &OrderRef) -> Result<Option<OrderId>, QueryError> {
        self.sound.order_by_ref(order_ref).await
    }

    async fn list_orders(
        &self,
        filter: &OrderFilter,
        before: Option<OrderId>,
        limit: usize,
    ) -> Result<Page<Arc<Order>, OrderId>, QueryError> {
        let mut page = self.sound.list_orders(filter, before, limit).await?;
        if let (Flaw::ListsInclusively, Some(before), Some(_)) = (self.flaw, before, &page.next)
            && let Some(order) = self.sound.order(before).await?
        {
            page.entries.insert(0, order);
            page.entries.truncate(limit);
        }
        Ok(page)
    }

    async fn order_events(&self, id: OrderId, after: u32) -> Result<Vec<Committed>, QueryError> {
        self.sound.order_events(id, after).await
    }

    async fn feed(&self, after: Position, limit: usize) -> Result<Vec<Committed>, QueryError> {
        // Events whose position is read past before they are there, as with numbers handed out before the commit.
        let skips = |event: &Committed| self.flaw == Flaw::SkipsAnEvent && event.position.0.is_multiple_of(97);
        let mut feed = self.sound.feed(after, limit).await?;
        feed.retain(|event| !skips(event));
        Ok(feed)
    }

    async fn order_changed(&self, id: OrderId, after: u32) -> Result<Arc<Order>, QueryError> {
        let after = if self.flaw == Flaw::WakesTooSoon { after.saturating_sub(1) } else { after };
        self.sound.order_changed(id, after).await
    }

    async fn product(&self, id: &ProductId) -> Result<Option<Arc<Product>>, QueryError> {
        self.sound.product(id).await
    }

    async fn list_products(
        &self,
        after: Option<&ProductId>,
        deleted: Deleted,
        limit: usize,
    ) -> Result<Page<Arc<Product>, ProductId>, QueryError> {
        let deleted = if self.flaw == Flaw::ShowsWhatIsDeleted { Deleted::Shown } else { deleted };
        self.sound.list_products(after, deleted, limit).await
    }

    async fn stock(&self, id: &ProductId) -> Result<Option<StockLevel>, QueryError> {
        self.sound.stock(id).await
    }

    async fn list_stock(
        &self,
        after: Option<&ProductId>,
        limit: usize,
    ) -> Result<Page<StockLevel, ProductId>, QueryError> {
        self.sound.list_stock(after, limit).await
    }

    async fn customer(&self, id: &CustomerId) -> Result<Option<Arc<Customer>>, QueryError> {
        self.sound.customer(id).await
    }

    async fn list_customers(
        &self,
        after: Option<&CustomerId>,
        deleted: Deleted,
        limit: usize,
    ) -> Result<Page<Arc<Customer>, CustomerId>, QueryError> {
        let deleted = if self.flaw == Flaw::ShowsWhatIsDeleted { Deleted::Shown } else { deleted };
        self.sound.list_customers(after, deleted, limit).await
    }

    async fn parcel(&self, id: &ParcelId) -> Result<Option<Arc<Parcel>>, QueryError> {
        self.sound.parcel(id).await
    }

    async fn list_parcels(
        &self,
        statuses: &[ParcelStatus],
        before: Option<Position>,
        limit: usize,
    ) -> Result<Page<Arc<Parcel>, Position>, QueryError> {
        let statuses = if self.flaw == Flaw::ListsEveryParcel { &[] } else { statuses };
        let mut page = self.sound.list_parcels(statuses, before, limit).await?;
        if self.flaw == Flaw::ListsOldestFirst {
            page.entries.reverse();
        }
        Ok(page)
    }

    async fn parcel_events(&self, id: &ParcelId, after: u32) -> Result<Vec<Committed>, QueryError> {
        self.sound.parcel_events(id, after).await
    }

    async fn parcel_changed(&self, id: &ParcelId, after: u32) -> Result<Arc<Parcel>, QueryError> {
        let after = if self.flaw == Flaw::WakesTooSoon { after.saturating_sub(1) } else { after };
        self.sound.parcel_changed(id, after).await
    }

    async fn record(&self, id: RecordId) -> Result<Option<Arc<Record>>, QueryError> {
        self.sound.record(id).await
    }

    async fn list_records(
        &self,
        filter: RecordFilter,
        before: Option<RecordId>,
        limit: usize,
    ) -> Result<Page<Arc<Record>, RecordId>, QueryError> {
        let stored = if self.flaw == Flaw::ListsEveryRecord { None } else { filter.stored };
        self.sound.list_records(RecordFilter { stored, ..filter }, before, limit).await
    }

    async fn head(&self) -> Result<Position, QueryError> {
        let Position(head) = self.sound.head().await?;
        Ok(Position(if self.flaw == Flaw::ReadsBehindTheHead { head.saturating_sub(1) } else { head }))
    }

    async fn feed_grown(&self, after: Position) -> Result<(), QueryError> {
        if self.flaw == Flaw::GrowsByItself { Ok(()) } else { self.sound.feed_grown(after).await }
    }

    async fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<OrderId>, QueryError> {
        let moment = jiff::SignedDuration::from_micros(1);
        let now = if self.flaw == Flaw::MissesDeadlines { now - moment } else { now };
        self.sound.overdue(now, limit).await
    }

    async fn mailbox_end(&self) -> Result<Option<u64>, QueryError> {
        self.sound.mailbox_end().await
    }

    async fn counts(&self) -> Result<Counts, QueryError> {
        self.sound.counts().await
    }
}

#[async_trait]
impl Bus for Flawed {
    async fn receive(&self, role: Role, max: usize) -> Result<Vec<Delivery>, BusError> {
        let mut batch = self.sound.receive(role, max).await?;
        if self.flaw == Flaw::DeliversTwice && !self.delivered.swap(true, Ordering::Relaxed) {
            self.sound.give_back(vec![batch[0].clone()]).await;
        }
        self.tries_out.lock().extend(batch.iter().map(|delivery| (delivery.position, delivery.tries)));
        batch.iter_mut().filter(|_| self.flaw == Flaw::ForgetsTries).for_each(|delivery| delivery.tries = 0);
        Ok(batch)
    }

    async fn give_back(&self, deliveries: Vec<Delivery>) {
        self.back.lock().extend(deliveries.iter().map(|delivery| delivery.position));
        if self.flaw != Flaw::ForgetsWhatIsGivenBack {
            self.sound.give_back(deliveries).await;
        }
    }

    async fn reclaim(&self, role: Role) {
        if self.flaw != Flaw::ReclaimsNothing {
            self.sound.reclaim(role).await;
        }
    }

    async fn dead_letters(&self, after: Option<u64>, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        let letters = self.sound.dead_letters(after, limit).await?;
        Ok(if self.flaw == Flaw::LosesDeadLetters { Vec::new() } else { letters })
    }

    async fn redrive(&self, ids: &[u64]) -> Result<Vec<u64>, BusError> {
        self.sound.redrive(ids).await
    }

    async fn lag(&self, role: Role) -> Result<Lag, BusError> {
        let lag = self.sound.lag(role).await?;
        Ok(if self.flaw == Flaw::ClaimsToKeepUp { Lag::default() } else { lag })
    }
}

macro_rules! finds {
    ($($test:ident: $flaw:ident in $($part:ident)::+ says $message:literal;)+) => {
        $(
            #[test]
            #[should_panic(expected = $message)]
            fn $test() {
                run(Flaw::$flaw, async |harness| ordermill_ports::conformance::$($part)::+(harness).await);
            }
        )+
    };
}

finds! {
    forgotten_keys: ForgetsKeys in ledger::keys::the_same_key_gives_the_first_answer says "again.replayed";
    forgotten_keys_of_twins: ForgetsKeys in ledger::keys::concurrent_twins_make_one_order says "left: 32";
    forgotten_keys_in_histories: ForgetsKeys in ledger::property::random_history_1 says "call ";
    forgotten_settlements: ForgetsSettlements in bus::settling::a_retry_comes_when_it_is_due says "1 should have come";
    settlements_lost_with_a_refusal: SettlesOnlyWhatIsTaken in bus::settling::a_refused_input_settles_all_the_same says "1 should have come";
    calls_turned_round: TurnsCallsRound in ledger::calls::inputs_about_one_order_follow_each_other says "every step is possible";
    no_admission: TakesEverything in ledger::admission::an_order_beyond_the_room_is_refused_after_a_wait says "there is no room";
    no_end: NeverCloses in ledger::closing::a_closed_ledger_takes_nothing says "is_err()";
    a_skipped_event: SkipsAnEvent in ledger::shortage::an_order_of_161_lines says "counted without a gap";
    stale_reads: ReadsStaleOrders in ledger::process::a_declined_payment_rejects says "read as it was answered";
    repeated_entries: ListsInclusively in queries::lists::every_filter_picks_its_orders says "left: [";
    late_deadlines: MissesDeadlines in ledger::deadlines::a_reservation_expires says "left: []";
    early_wakes: WakesTooSoon in queries::waits::a_change_that_comes_is_told_to_all says "no news";
    double_deliveries: DeliversTwice in bus::delivery::each_role_gets_what_it_reacts_to says "left: [";
    lost_give_backs: ForgetsWhatIsGivenBack in bus::delivery::what_is_given_back_comes_again says "3 should have come";
    lost_reclaims: ReclaimsNothing in bus::delivery::what_is_reclaimed_comes_again says "5 should have come";
    forgotten_tries: ForgetsTries in bus::settling::a_retry_comes_when_it_is_due says "tries: 1";
    lost_dead_letters: LosesDeadLetters in bus::dead_letters::a_dead_letter_is_kept says "left: 0";
    a_lag_made_up: ClaimsToKeepUp in bus::lag::the_lag_follows_the_work says "four orders";
    words_on_any_try: SettlesWhateverIsOut in bus::stale::a_word_on_an_earlier_try_changes_nothing says "1 should have come";
    words_taken_back: TakesBackItsWord in bus::stale::what_is_back_can_still_be_settled says "there is nothing for payments";
    forgotten_keys_beside_references: ForgetsKeys in ledger::references::a_key_beside_a_known_reference_is_kept says "OrderRefTaken";
    forgotten_keys_of_records: ForgetsKeys in ledger::records::the_same_key_gives_the_first_record says "left: ";
    paid_orders_called_off: SparesNobody in ledger::unpaid::a_paid_order_is_not_called_off says "left: ";
    a_race_decided_twice: SparesNobody in ledger::unpaid::the_first_of_capture_and_giving_up_wins says "left: true";
    verdicts_made_up: CallsEverythingMoved in ledger::parcels::the_same_report_again_is_a_duplicate says "left: Moved";
    verdicts_made_up_in_histories: CallsEverythingMoved in ledger::property::random_history_1 says "call ";
    reports_turned_round: TurnsCallsRound in ledger::parcels::reports_of_one_call_follow_each_other says "left: [";
    deleted_customers_shown: ShowsWhatIsDeleted in queries::customer_lists::customers_are_listed_by_id says "Customer";
    deleted_products_shown: ShowsWhatIsDeleted in queries::customer_lists::deleted_products_are_hidden says "Product";
    parcels_of_any_state: ListsEveryParcel in queries::parcel_lists::parcels_are_listed_newest_first says "left: [";
    parcels_turned_round: ListsOldestFirst in queries::parcel_lists::parcels_are_listed_newest_first says "left: [";
    records_stored_or_not: ListsEveryRecord in queries::record_lists::every_filter_picks_its_records says "left: [";
    early_wakes_for_parcels: WakesTooSoon in queries::parcel_waits::a_move_that_comes_is_told_to_all says "nothing has happened to it";
    a_head_that_lags: ReadsBehindTheHead in queries::parcel_waits::the_head_is_the_newest_position says "left: Position(1)";
    growth_made_up: GrowsByItself in queries::parcel_waits::growth_is_told says "nothing has happened";
}
