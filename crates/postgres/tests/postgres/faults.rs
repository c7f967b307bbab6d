//! A network and a server that fail: nothing waits without bound, nothing is lost or done twice, and it goes on afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use ordermill_core::input::{Body, Input, PutProduct};
use ordermill_core::order::Status;
use ordermill_core::process::Role;
use ordermill_core::secret::SecretRef;
use ordermill_ports::conformance::shop::{Shop, product};
use ordermill_ports::ledger::SubmitError;
use ordermill_ports::secrets::{Revealed, SecretError, Secrets};
use ordermill_ports::{Delivery, Outcome, Source, Submission};
use ordermill_postgres::Options;
use tokio::time::{Instant, sleep};

use crate::support::process::{Installation, LEASE, Process, SOON, eventually};
use crate::support::proxy::{Ambush, Proxy, Weather};

/// How long the server may take in these tests.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How much longer anything may take than it should, on a busy machine.
const SLACK: Duration = Duration::from_secs(10);

/// A process that reaches the server by a network of its own, with goods to sell.
pub(super) async fn behind_network(installation: &mut Installation) -> (Proxy, Process) {
    behind_network_with(installation, |_| {}).await
}

/// The same with options of its own.
async fn behind_network_with(installation: &mut Installation, change: impl FnOnce(&mut Options)) -> (Proxy, Process) {
    let network = installation.database.network().await;
    let url = installation.database.url_through(&network);
    let through = |options: &mut Options| {
        options.server = url.split('?').next().and_then(|url| url.parse().ok()).expect("a sound URL");
        options.answer_max = ANSWER_MAX;
        change(options);
    };
    let process = installation.start_with(through).await;
    process.run(|shop| async move { shop.sell("pear", 1_000).await }).await;
    (network, process)
}

/// A change that does its work each time it is decided: done twice, it shows.
fn restock() -> Input {
    let reason = "found one".into();
    Input::new(Body::AdjustStock { product_id: product("pear"), delta: 1, reason, expected_version: None })
}

pub(super) async fn submit(process: &Process, source: Source, inputs: Vec<Input>) -> Vec<Result<Outcome, SubmitError>> {
    let inputs = inputs.into_iter().map(Submission::new).collect();
    process.run(move |shop| async move { shop.backend.ledger.submit(source, inputs).await }).await
}

async fn is_ready(process: &Process) -> bool {
    process.run(|shop| async move { shop.backend.ledger.ready().await.is_ok() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_a_commit_without_an_answer_is_found_out() {
    let mut installation = Installation::new();
    let (network, process) = behind_network(&mut installation).await;
    let ambushes = [Ambush::CutBefore, Ambush::CutHalfway, Ambush::CutAnswer, Ambush::StallBefore, Ambush::StallAnswer];
    let mut restocked = 1_000;
    for (number, ambush) in ambushes.into_iter().enumerate() {
        let placing = process.run(|shop| async move { shop.placing(&[("pear", 1)]) }).await;
        network.await_commit(ambush);
        let results = submit(&process, Source::Live, vec![placing.clone(), restock()]).await;
        assert_eq!(network.sprung() as usize, number + 1, "the commit was ambushed");
        // A commit that never arrives is waited for as long as any; then whoever sent it is told. All others are found out, or done.
        let is_told = ambush == Ambush::StallBefore;
        match &results[..] {
            [Ok(_), Ok(_)] if !is_told => restocked += 1,
            [Err(SubmitError::NotCommitted { .. }), Err(SubmitError::NotCommitted { .. })] if is_told => {}
            other => panic!("{ambush:?}: {other:?}"),
        }
        eventually("it commits again", async || is_ready(&process).await).await;
        // The same again is known, and the answer is the same.
        let again = submit(&process, Source::Live, vec![placing]).await.remove(0).expect("it is taken, or known");
        assert_eq!(again.changed, is_told, "{ambush:?}");
        if let Ok(placed) = &results[0] {
            assert_eq!(again.order().map(|order| order.id), placed.order().map(|order| order.id));
        }
        let (available, ..) = process.run(|shop| async move { shop.units("pear").await }).await;
        assert_eq!(available, restocked, "{ambush:?}: done once, or not at all");
    }
    let books = process.run(|shop| async move { shop.audit().await.orders.len() }).await;
    assert_eq!(books, ambushes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_stalls_is_waited_for_within_bounds() {
    let mut installation = Installation::new();
    let (network, process) = behind_network(&mut installation).await;
    let order = process.run(|shop| async move { shop.place(&[("pear", 1)]).await.id }).await;
    network.delay(Duration::from_millis(2));
    // In the middle of whatever is on its way at that moment.
    let reader = process.run(|shop| async move { while shop.backend.queries.order_events(order, 0).await.is_ok() {} });
    let began = Instant::now();
    let stall = async {
        sleep(Duration::from_millis(50)).await;
        network.set(Weather::Stalled);
        let reads = (0..40).map(|_| {
            let read = |shop: Shop| async move { shop.backend.queries.order_events(order, 0).await };
            process.run(read)
        });
        let intake = submit(&process, Source::Live, vec![restock(), restock()]);
        tokio::join!(join_all(reads), intake)
    };
    let ((), (reads, intake)) = tokio::join!(reader, stall);
    assert!(began.elapsed() < ANSWER_MAX * 5 + SLACK, "{:?}", began.elapsed());
    assert!(reads.iter().all(Result::is_err) && intake.iter().all(Result::is_err), "{intake:?}");
    assert!(!is_ready(&process).await);
    network.set(Weather::Clear);
    eventually("it is ready again", async || is_ready(&process).await).await;
    process.run(move |shop| async move { drop(shop.order(order).await) }).await;
    assert!(submit(&process, Source::Live, vec![restock()]).await[0].is_ok());
    // What nobody was told of may have been done, though not twice; the books are in balance either way.
    let (available, ..) = process.run(|shop| async move { shop.units("pear").await }).await;
    let unknown = matches!(intake[0], Err(SubmitError::Unknown { .. }));
    assert!(available == 1_001 || unknown && available == 1_003, "{available} after {intake:?}");
    process.run(|shop| async move { drop(shop.audit().await) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_not_let_go_of_sheds_load() {
    let mut installation = Installation::new();
    let impatient = |options: &mut Options| options.answer_max = ANSWER_MAX;
    let process = installation.start_with(impatient).await;
    process.run(|shop| async move { shop.sell("pear", 1_000).await }).await;
    let outsider = installation.database.session().await;
    outsider.batch_execute("BEGIN; UPDATE feed_head SET position = position").await.expect("it is free");
    let began = Instant::now();
    let calls = (0..200).map(|_| submit(&process, Source::Live, vec![restock()]));
    let refused = join_all(calls).await;
    assert!(refused.iter().all(|results| matches!(results[0], Err(SubmitError::NotCommitted { .. }))), "{refused:?}");
    assert!(
        began.elapsed() < ANSWER_MAX * 2 + SLACK,
        "nobody waits for one commit after the other: {:?}",
        began.elapsed()
    );
    assert!(!is_ready(&process).await, "it says so");
    outsider.batch_execute("ROLLBACK").await.expect("it is still there");
    eventually("it is ready again", async || is_ready(&process).await).await;
    assert!(submit(&process, Source::Live, vec![restock()]).await[0].is_ok());
    let (available, ..) = process.run(|shop| async move { shop.units("pear").await }).await;
    assert_eq!(available, 1_001, "what was refused is not done");
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_that_hang_leave_commits_alone_and_are_shed() {
    let mut installation = Installation::new();
    let small = |options: &mut Options| {
        options.answer_max = ANSWER_MAX;
        options.connections = 5;
    };
    let process = installation.start_with(small).await;
    process.run(|shop| async move { shop.sell("pear", 1_000).await }).await;
    let outsider = installation.database.session().await;
    outsider.batch_execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE").await.expect("it is free");
    let read = || {
        process.run(|shop| async move {
            let began = Instant::now();
            let id = ordermill_ports::conformance::shop::customer("c-9");
            (shop.backend.queries.customer(&id).await.is_ok(), began.elapsed())
        })
    };
    let reads = join_all((0..100).map(|_| read()));
    let commits = async {
        sleep(Duration::from_millis(300)).await;
        for _ in 0..10 {
            assert!(submit(&process, Source::Live, vec![restock()]).await[0].is_ok(), "commits have room of their own");
        }
    };
    let (reads, ()) = tokio::join!(reads, commits);
    for (is_ok, took) in reads {
        assert!(!is_ok && took < ANSWER_MAX * 2 + SLACK, "{is_ok} after {took:?}");
    }
    outsider.batch_execute("ROLLBACK").await.expect("it is still there");
    eventually("reads go on", async || read().await.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_became_read_only_is_not_written_to() {
    let mut installation = Installation::new();
    let process = installation.start().await;
    process.run(|shop| async move { shop.sell("pear", 1_000).await }).await;
    let order = process.run(|shop| async move { shop.place(&[("pear", 1)]).await }).await;
    let name = installation.database.name().to_owned();
    let set = |value: &str| format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}");
    installation.database.execute(&set("on")).await;
    installation.database.end_sessions().await;
    let refused = submit(&process, Source::Live, vec![restock()]).await.remove(0);
    assert!(matches!(refused, Err(SubmitError::NotCommitted { .. })), "{refused:?}");
    let reason = process.run(|shop| async move { shop.backend.ledger.ready().await }).await.expect_err("it is not");
    assert!(reason.contains("read-only"), "{reason}");
    let id = order.id;
    assert_eq!(process.run(move |shop| async move { shop.order(id).await }).await, order, "it can be read");
    let writable = format!("SET transaction_read_only = off; {}", set("off"));
    installation.database.execute(&format!("BEGIN; {writable}; COMMIT")).await;
    installation.database.end_sessions().await;
    eventually("it is ready again", async || is_ready(&process).await).await;
    assert!(submit(&process, Source::Live, vec![restock()]).await[0].is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_few_rights_recovers_as_well() {
    let mut installation = Installation::new();
    let name = installation.database.name().to_owned();
    let user = format!("{name}_shop");
    let rights = format!(
        "CREATE ROLE {user} LOGIN; GRANT ALL ON SCHEMA ordermill TO {user}; \
         GRANT ALL ON ALL TABLES IN SCHEMA ordermill TO {user}; REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC"
    );
    installation.database.execute(&rights).await;
    let modest = |options: &mut Options| {
        options.server.user(user);
        options.answer_max = ANSWER_MAX;
    };
    let process = installation.start_with(modest).await;
    process.run(|shop| async move { shop.sell("pear", 1_000).await }).await;
    let outsider = installation.database.session().await;
    outsider.batch_execute("BEGIN; UPDATE feed_head SET position = position").await.expect("it is free");
    assert!(submit(&process, Source::Live, vec![restock()]).await[0].is_err());
    assert!(!is_ready(&process).await);
    outsider.batch_execute("ROLLBACK").await.expect("it is still there");
    eventually("it is ready again", async || is_ready(&process).await).await;
    assert!(submit(&process, Source::Live, vec![restock()]).await[0].is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_ended_all_the_time_cost_no_caller_an_answer() {
    let mut installation = Installation::new();
    let process = Arc::new(installation.start().await);
    process.run(|shop| async move { shop.sell("pear", 10_000).await }).await;
    let placed = process.run(|shop| async move { shop.placing(&[("pear", 1)]) }).await;
    assert!(submit(&process, Source::Live, vec![placed]).await[0].is_ok());
    let is_over = AtomicBool::new(false);
    let ending = async {
        while !is_over.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(100)).await;
            installation.database.end_sessions().await;
        }
    };
    let restocking = async {
        let (mut done, mut refused) = (0, 0);
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(1_200) || done <= 20 {
            assert!(began.elapsed() < SOON, "{done} done, {refused} refused");
            match submit(&process, Source::Results, vec![restock()]).await.remove(0) {
                Ok(_) => done += 1,
                Err(SubmitError::NotCommitted { .. }) => refused += 1,
                Err(error) => panic!("it can be found out: {error}"),
            }
        }
        is_over.store(true, Ordering::SeqCst);
        (done, refused)
    };
    let ((), (done, refused)) = tokio::join!(ending, restocking);
    let (available, ..) = process.run(|shop| async move { shop.units("pear").await }).await;
    assert_eq!(available, 10_000 + done, "each answer is true, and {refused} were refused");
    let all = process.run(|shop| async move { shop.list(&Default::default(), 10).await }).await;
    assert!(all.len() == 1 && all[0].status == Status::Placed);
    eventually("it is ready", async || is_ready(&process).await).await;
}

/// What the server refuses costs the calls that came with it few commits.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_cannot_be_written_spares_the_others() {
    let mut installation = Installation::new();
    let process = installation.start().await;
    let answers = process
        .run(|shop| async move {
            shop.sell("pear", 1_000).await;
            let mut inputs: Vec<Input> = (0..200).map(|_| shop.placing(&[("pear", 1)])).collect();
            // Refused at the door; whoever comes past it does no more harm than this.
            let put = PutProduct { description: Some("a\0b".into()), ..shop.product("plum", None) };
            inputs.insert(120, Input::new(Body::PutProduct(put)));
            let calls = inputs.into_iter().map(|input| shop.submit(vec![Submission::new(input)]));
            join_all(calls).await
        })
        .await;
    for (index, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer[0].is_ok(), index != 120, "{index}: {answer:?}");
    }
    let sql = "SELECT count(*), count(DISTINCT xmin::text) FROM events WHERE type = 'order.placed'";
    let rows = installation.database.query(sql).await;
    let number = |column: usize| rows[0][column].parse::<u32>().expect("a count");
    let (events, commits) = (number(0), number(1));
    assert!(events == 200 && commits < 40, "{events} events in {commits} commits");
}

/// What a provider says may hold what the server cannot keep: the delivery is put off and given up all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_reason_with_nul_is_kept_as_far_as_it_can_be() {
    let mut installation = Installation::new();
    let process = installation.start().await;
    process.join(Role::Payments).await;
    let letters = process
        .run(|shop| async move {
            shop.sell("pear", 10).await;
            shop.place(&[("pear", 1)]).await;
            let first = shop.receive(Role::Payments, 1).await.remove(0);
            shop.settle([first.retry(shop.now(), "a\0b".to_owned())]).await;
            let second = shop.receive(Role::Payments, 1).await.remove(0);
            assert_eq!(second.tries, 1);
            shop.settle([second.dead_letter("c\0d".to_owned())]).await;
            shop.backend.bus.dead_letters(None, 10).await.expect("readable")
        })
        .await;
    assert_eq!(letters.iter().map(|letter| &*letter.reason).collect::<Vec<_>>(), ["c\u{fffd}d"]);
}

/// Gives a password, which the server does not ask for, and has a defect when it is told to, once.
#[derive(Default)]
struct Defective(AtomicBool);

#[async_trait]
impl Secrets for Defective {
    async fn reveal(&self, reference: &SecretRef) -> Result<Revealed, SecretError> {
        assert!(!self.0.swap(false, Ordering::SeqCst), "a defect for a test");
        Revealed::new(reference, "asdf")
    }
}

/// The task that keeps the leases ended by a defect of its own, and the process had no deliveries for as long as it ran.
#[tokio::test(flavor = "multi_thread")]
async fn a_defect_ends_no_task_for_good() {
    let mut installation = Installation::new();
    let secrets = Arc::new(Defective::default());
    let source: Arc<dyn Secrets> = secrets.clone();
    let with_password = |options: &mut Options| {
        options.password = Some(SecretRef::Env("PASSWORD".to_owned()));
        options.secrets = Some(source);
    };
    let process = installation.start_with(with_password).await;
    process.run(|shop| async move { shop.sell("pear", 1_000).await }).await;
    process.join(Role::Payments).await;
    installation.until_shared(Role::Payments, &[16]).await;
    // Nothing else connects while nobody asks for anything.
    secrets.0.store(true, Ordering::SeqCst);
    installation.database.end_sessions().await;
    eventually("the defect shows", async || !secrets.0.load(Ordering::SeqCst)).await;
    sleep(LEASE).await;
    process.run(|shop| async move { shop.place(&[("pear", 1)]).await }).await;
    assert_eq!(process.receive_many(Role::Payments, 1).await.len(), 1);
    process.close().await;
    assert_eq!(installation.owners(Role::Payments).await.len(), 0, "it ends as it should");
}

/// What was put off or given up in a commit whose answer was lost came again and was dealt with, and its row stayed.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_commit_without_an_answer_has_put_off_is_gone_with_its_delivery() {
    let mut installation = Installation::new();
    let alone = |options: &mut Options| {
        // Leases are neither renewed nor heard of in the time of this test: the only commits are its own.
        options.lease = Duration::from_secs(600);
        options.listen = false;
    };
    let (network, process) = behind_network_with(&mut installation, alone).await;
    process.join(Role::Payments).await;
    for _ in 0..2 {
        process.run(|shop| async move { shop.place(&[("pear", 1)]).await }).await;
    }
    let handed = process.receive_many(Role::Payments, 2).await;
    network.await_commit(Ambush::StallAnswer);
    let deliveries = handed.clone();
    let settle = |shop: Shop| async move {
        let [first, second] = [0, 1].map(|index: usize| deliveries[index].clone());
        let settlements = [first.retry(shop.now(), "busy".to_owned()), second.dead_letter("no".to_owned())];
        let settlements = settlements.map(Submission::settle).into();
        let answers = shop.backend.ledger.submit(Source::Results, settlements).await;
        shop.backend.bus.give_back(deliveries).await;
        answers.iter().all(Result::is_err)
    };
    assert!(process.run(settle).await, "nobody knows what became of it");
    let rows = async || {
        let count = "SELECT (SELECT count(*) FROM parked), (SELECT count(*) FROM dead_letters)";
        installation.database.query(count).await.remove(0)
    };
    assert_eq!(rows().await, ["1", "1"], "it was committed");
    let again = process.receive_many(Role::Payments, 2).await;
    assert_eq!(again, handed);
    process.run(|shop| async move { shop.settle(again.into_iter().map(Delivery::ack)).await }).await;
    assert_eq!(rows().await, ["0", "0"]);
}
