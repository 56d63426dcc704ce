use super::*;
use std::sync::mpsc;

const LONG: Duration = Duration::from_secs(3600);

fn pool_with(threads: usize, queue: usize, batch: usize, max_wait: Duration) -> WorkPool {
    WorkPool::new(threads, WorkLimits { queue, batch, max_wait }, Counter::default()).unwrap()
}

fn pool(threads: usize, queue: usize) -> WorkPool {
    pool_with(threads, queue, queue, LONG)
}

fn reserve(pool: &WorkPool, tasks: usize) -> Result<Reservation, QueueFull> {
    pool.reserve(WorkKind::Queries, pool.owner(b"someone"), tasks)
}

/// The order in which one thread runs batches, each given by a letter, a kind, an owner and a number of tasks.
async fn order(batches: &[(char, WorkKind, &str, usize)]) -> String {
    let pool = pool(1, 100);
    let (order_send, order) = mpsc::channel();
    // Holds the only thread until all batches wait.
    let (release, held) = mpsc::channel::<()>();
    let (begun, begins) = oneshot::channel();
    let blocker = pool.reserve(WorkKind::Queries, pool.owner(b"blocker"), 1).unwrap();
    let blocker = tokio::spawn(blocker.run_one(move |_| {
        begun.send(()).unwrap();
        held.recv().is_ok()
    }));
    begins.await.unwrap();
    let mut running = Vec::new();
    for &(letter, kind, owner, count) in batches {
        let tasks: Vec<_> = (0..count)
            .map(|_| {
                let send = order_send.clone();
                move |_: TaskContext<'_>| send.send(letter).is_ok()
            })
            .collect();
        let reservation = pool.reserve(kind, pool.owner(owner.as_bytes()), count).unwrap();
        let mut run = Box::pin(reservation.run(tasks));
        assert!(futures_util::poll!(&mut run).is_pending());
        running.push(run);
    }
    release.send(()).unwrap();
    assert!(blocker.await.unwrap().unwrap());
    for (run, (_, _, _, count)) in running.into_iter().zip(batches) {
        assert_eq!(run.await.unwrap().len(), *count);
    }
    assert_eq!(pool.depth(), 0);
    order.try_iter().collect()
}

#[tokio::test]
async fn batches_take_turns() {
    use WorkKind::Queries;
    let found = order(&[('l', Queries, "a", 5), ('s', Queries, "a", 1)]).await;
    assert_eq!(found, "lsllll");
}

#[tokio::test]
async fn owners_take_turns_however_many_requests_they_have() {
    use WorkKind::Queries;
    let found = order(&[
        ('1', Queries, "many", 2),
        ('2', Queries, "many", 2),
        ('3', Queries, "many", 2),
        ('s', Queries, "few", 2),
    ])
    .await;
    assert_eq!(found, "1s2s3123");
}

#[tokio::test]
async fn kinds_take_turns_however_much_of_one_there_is() {
    use WorkKind::{Issuing, Keys, Queries};
    let found = order(&[
        ('i', Issuing, "a", 2),
        ('j', Issuing, "b", 2),
        ('q', Queries, "c", 2),
        ('k', Keys, "d", 1),
    ])
    .await;
    assert_eq!(found, "ikqjqij");
}

#[tokio::test]
async fn capacity_is_bounded_and_given_back() {
    let pool = pool(2, 3);
    let reservation = reserve(&pool, 2).unwrap();
    assert!(reserve(&pool, 2).is_err());
    let one = reserve(&pool, 1).unwrap();
    assert!(reserve(&pool, 1).is_err());
    drop(one);
    assert_eq!(
        reservation.run(vec![|_: TaskContext<'_>| 1, |_: TaskContext<'_>| 1]).await.unwrap(),
        [1, 1]
    );
    assert!(reserve(&pool, usize::MAX).is_err());
    assert_eq!(pool.depth(), 0);
    drop(reserve(&pool, 3).unwrap());
    assert!(lock(&pool.shared.reserved).owners.iter().all(HashMap::is_empty));
}

#[tokio::test]
async fn an_owner_has_half_of_the_capacity_or_one_full_batch() {
    for (queue, batch, own) in [(10, 2, 5), (10, 8, 8), (10, 10, 10), (1, 1, 1)] {
        let pool = pool_with(1, queue, batch, LONG);
        for tasks in [own - 1, own, own + 1] {
            assert_eq!(reserve(&pool, tasks).is_ok(), tasks <= own, "{queue} {batch} {tasks}");
        }
        let _all = reserve(&pool, own).unwrap();
        assert!(reserve(&pool, 1).is_err());
        let other = pool.owner(b"another");
        for tasks in [queue - own, queue - own + 1] {
            let reserved = pool.reserve(WorkKind::Queries, other, tasks);
            assert_eq!(reserved.is_ok(), tasks <= (queue - own).min(own));
        }
        // Other kinds have capacity of their own.
        assert!(pool.reserve(WorkKind::Issuing, other, own).is_ok());
    }
}

#[tokio::test]
async fn a_dropped_request_cancels_its_tasks() {
    let pool = pool(1, 10);
    let (begun, begins) = mpsc::channel();
    let (ended, ends) = mpsc::channel();
    let first = move |context: TaskContext<'_>| {
        begun.send(()).unwrap();
        while !context.cancelled.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        ended.send(()).unwrap();
    };
    let run = tokio::spawn(reserve(&pool, 1).unwrap().run_one(first));
    tokio::task::spawn_blocking(move || begins.recv()).await.unwrap().unwrap();
    run.abort();
    tokio::task::spawn_blocking(move || ends.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn work_that_waited_for_too_long_is_dropped_and_counted() {
    let dropped = Counter::default();
    let limits = WorkLimits { queue: 10, batch: 10, max_wait: Duration::ZERO };
    let pool = WorkPool::new(1, limits, dropped.clone()).unwrap();
    let task = |_: TaskContext<'_>| panic!("it must not run");
    let run = reserve(&pool, 1).unwrap().run_one(task).await;
    assert_eq!(run, Err::<(), _>(WorkError::Late));
    assert_eq!((dropped.get(), pool.depth()), (1, 0));
    // The clock of a request begins when its capacity is reserved.
    let pool = pool_with(1, 10, 10, LONG);
    let mut reservation = reserve(&pool, 1).unwrap();
    reservation.reserved_at -= 2 * LONG;
    assert_eq!(reservation.run_one(|_| ()).await, Err(WorkError::Late));
    assert_eq!(reserve(&pool, 1).unwrap().run_one(|_| 7).await, Ok(7));
}

#[test]
fn a_request_that_was_begun_is_finished_unless_others_wait() {
    let limits = WorkLimits { queue: 1, batch: 1, max_wait: Duration::from_secs(3) };
    let second = Duration::from_secs(1);
    for waited in [second, 2 * second, 3 * second] {
        for (has_begun, others_wait) in [(false, false), (false, true), (true, false), (true, true)]
        {
            assert!(!limits.is_late(waited, has_begun, others_wait));
        }
    }
    let waited = 3 * second + Duration::from_nanos(1);
    for (has_begun, others_wait, late) in
        [(false, false, true), (false, true, true), (true, false, false), (true, true, true)]
    {
        assert_eq!(limits.is_late(waited, has_begun, others_wait), late);
    }
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_pool_continues() {
    let pool = pool(1, 1);
    let fails = |_: TaskContext<'_>| -> u8 { Vec::new()[usize::from(u8::MAX)] };
    assert_eq!(reserve(&pool, 1).unwrap().run_one(fails).await, Err(WorkError::Panicked));
    assert_eq!(reserve(&pool, 1).unwrap().run_one(|_| 7).await, Ok(7));
}

#[tokio::test]
async fn a_reservation_takes_no_more_tasks_than_it_is_for() {
    let pool = pool(1, 4);
    let task = |_: TaskContext<'_>| 1;
    for (reserved, tasks) in [(2, 1), (2, 2), (0, 0)] {
        let results = reserve(&pool, reserved).unwrap().run(vec![task; tasks]).await;
        assert_eq!(results, Ok(vec![1; tasks]));
    }
    for (reserved, tasks) in [(2, 3), (0, 1)] {
        let refused = reserve(&pool, reserved).unwrap().run(vec![task; tasks]).await;
        assert_eq!(refused, Err(WorkError::NotReserved { tasks, reserved }));
    }
    assert_eq!(pool.depth(), 0);
}

/// What a request needs before its tasks is done in their place, so that a full queue does not keep it from going on.
#[tokio::test]
async fn a_task_before_the_others_needs_no_more_capacity() {
    let pool = pool(1, 1);
    let mut reservation = reserve(&pool, 1).unwrap();
    assert_eq!(reservation.run_before(|_| 7).await, Ok(7));
    assert_eq!((pool.depth(), reserve(&pool, 1).err()), (1, Some(QueueFull)));
    assert_eq!(reservation.run_before(|_| 8).await, Ok(8));
    assert_eq!(reservation.run(vec![|_: TaskContext<'_>| 9]).await, Ok(vec![9]));
    assert_eq!(pool.depth(), 0);
    let mut none = reserve(&pool, 0).unwrap();
    let refused = WorkError::NotReserved { tasks: 1, reserved: 0 };
    assert_eq!(none.run_before(|_| 1).await, Err(refused));
}

/// The place of such a task is given back when the client disconnects, and when the task panics.
#[tokio::test]
async fn the_place_of_a_task_before_the_others_is_given_back() {
    let pool = pool(1, 1);
    let mut reservation = reserve(&pool, 1).unwrap();
    let panicked = reservation.run_before(|_| panic!("a broken task")).await;
    assert_eq!(panicked, Err::<(), _>(WorkError::Panicked));
    drop(reservation);
    assert_eq!(pool.depth(), 0);
    let mut reservation = reserve(&pool, 1).unwrap();
    let (release, held) = mpsc::channel::<()>();
    {
        let mut running = Box::pin(reservation.run_before(move |_| held.recv().is_ok()));
        assert!(futures_util::poll!(&mut running).is_pending());
    }
    drop(reservation);
    release.send(()).unwrap();
    while pool.depth() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(reserve(&pool, 1).unwrap().run_one(|_| 3).await, Ok(3));
}
