//! Threads that leave the processor to those that answer queries.
//!
//! On Linux a thread has a nice value of its own, which the threads that it starts inherit. Elsewhere the value is one of the
//! whole process, so that nothing is done there: the number of threads alone bounds what background work takes.

use error_reporter::Report;
use std::io;
use std::num::NonZero;
use std::thread;

/// How much the nice value of background work is above that of the process: where all processors are busy, such a thread gets
/// a tenth of the time that one for queries gets.
#[cfg(any(target_os = "linux", test))]
const NICER_BY: i32 = 10;
/// The largest nice value that there is.
#[cfg(any(target_os = "linux", test))]
const NICEST: i32 = 19;

/// The largest number of threads of background work: half of the processors.
pub(crate) fn max_threads() -> NonZero<usize> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    NonZero::new(processors / 2).unwrap_or(NonZero::<usize>::MIN)
}

/// Lowers the priority of this thread, and of those that it starts from now on. The thread must not be one that is used for
/// other work later: the priority cannot be raised again. Without success the work goes on all the same.
pub(crate) fn lower() {
    if let Err(error) = try_lower() {
        tracing::warn!(error = %Report::new(&error), "background work runs at the priority of queries");
    }
}

#[cfg(target_os = "linux")]
fn try_lower() -> io::Result<()> {
    use rustix::process::{getpriority_process, setpriority_process};
    // On Linux, no process id is this thread.
    let now = getpriority_process(None)?;
    Ok(setpriority_process(None, (now + NICER_BY).min(NICEST))?)
}

#[cfg(not(target_os = "linux"))]
fn try_lower() -> io::Result<()> {
    Ok(())
}

/// Runs work on a thread of its own, at a low priority. The outcome is sent; it is an error if the work panics.
///
/// # Errors
/// If the thread cannot be started.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<tokio::sync::oneshot::Receiver<T>> {
    let (done, outcome) = tokio::sync::oneshot::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        lower();
        // Nobody waits any more when the service has stopped.
        let _ = done.send(work());
    })?;
    Ok(outcome)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn nice() -> i32 {
        rustix::process::getpriority_process(None).expect("a thread may read its own priority")
    }

    #[tokio::test]
    async fn background_work_and_the_threads_that_it_starts_have_a_low_priority() {
        let own = nice();
        let lowered = (own + NICER_BY).min(NICEST);
        let outcome = spawn("background", || {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
            let of_pool = pool.broadcast(|_| nice());
            let of_child = thread::spawn(nice).join().unwrap();
            (nice(), of_pool, of_child)
        });
        let (background, of_pool, of_child) = outcome.unwrap().await.unwrap();
        assert_eq!((background, of_child), (lowered, lowered));
        assert_eq!(of_pool, [lowered, lowered]);
        // Nothing changes for the others.
        assert_eq!((nice(), thread::spawn(nice).join().unwrap()), (own, own));
    }

    #[test]
    fn the_nicest_value_is_not_exceeded() {
        let lowered = thread::spawn(|| {
            lower();
            lower();
            lower();
            nice()
        });
        assert_eq!(lowered.join().unwrap(), NICEST);
    }

    #[test]
    fn background_work_has_half_of_the_processors_and_one_at_least() {
        let processors = thread::available_parallelism().unwrap().get();
        assert_eq!(max_threads().get(), (processors / 2).max(1));
    }
}
