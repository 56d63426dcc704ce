//! One list on several threads: one reads it, some make keys, and one takes them into the build in the order of the list.
//!
//! What a build gives does not depend on the number of threads. A list of less than a batch is done on the thread that reads
//! it.

use super::intake::{Intake, KeyMaker, OwnedOutcome};
use crate::key::Refusal;
use crate::list::{Entry, Event};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope};

/// The most entries of a batch.
const BATCH_ENTRIES: usize = 1024;

/// The bytes of text at which a batch is full.
const BATCH_BYTES: usize = 1 << 16;

/// The most threads that make keys. More would wait for the one that reads.
const MAX_WORKERS: usize = 6;

/// The batches that wait for each thread that makes keys, and behind it. This bounds the memory.
const WAITING: usize = 4;

/// Events of a list with their texts.
#[derive(Default)]
struct Batch {
    texts: String,
    items: Vec<Item>,
}

struct Item {
    line: u64,
    /// Where its text ends in the texts.
    end: usize,
    said: Said,
}

enum Said {
    /// An entry without its text.
    Entry(Entry<'static>),
    Refused(Refusal),
}

impl Batch {
    fn push(&mut self, event: Event<'_>) {
        let (line, text, said) = match event {
            Event::Entry { line, entry } => {
                let Entry { text, kind, remarks, action, scope, options, rule } = entry;
                let entry = Entry { text: "", kind, remarks, action, scope, options, rule };
                (line, text, Said::Entry(entry))
            }
            Event::Refused { line, refusal, text } => (line, text, Said::Refused(refusal)),
        };
        self.texts.push_str(text);
        self.items.push(Item { line, end: self.texts.len(), said });
    }

    fn is_full(&self) -> bool {
        self.items.len() >= BATCH_ENTRIES || self.texts.len() >= BATCH_BYTES
    }

    fn events(&self) -> impl Iterator<Item = Event<'_>> {
        let mut start = 0;
        self.items.iter().map(move |&Item { line, end, ref said }| {
            let text = &self.texts[std::mem::replace(&mut start, end)..end];
            match *said {
                Said::Entry(entry) => Event::Entry { line, entry: Entry { text, ..entry } },
                Said::Refused(refusal) => Event::Refused { line, refusal, text },
            }
        })
    }

    /// What becomes of each entry, in their order.
    fn outcomes(&self, maker: KeyMaker<'_>) -> Vec<OwnedOutcome> {
        let entries = self.events().filter_map(|event| match event {
            Event::Entry { entry, .. } => Some(entry),
            Event::Refused { .. } => None,
        });
        entries.map(|entry| maker.outcome(&entry).into_owned(entry.text)).collect()
    }
}

/// A batch with what becomes of its entries.
type Done = (Batch, Vec<OwnedOutcome>);

/// Reads a list with `read`, which calls its argument for each event, and takes its entries.
pub(super) fn run<T>(
    threads: NonZeroUsize,
    maker: KeyMaker<'_>,
    intake: Intake<'_>,
    read: impl FnOnce(&mut dyn FnMut(Event<'_>)) -> T,
) -> T {
    if threads.get() == 1 {
        let mut intake = intake;
        return read(&mut |event| take_event(&mut intake, maker, event));
    }
    // One thread reads, and what is taken into the build is a third of the work.
    let workers = (threads.get() - 1).min(MAX_WORKERS);
    thread::scope(|scope| {
        let mut batch = Batch::default();
        let mut stage = Stage::Alone(intake);
        let read = read(&mut |event| {
            batch.push(event);
            if batch.is_full() {
                let full = std::mem::take(&mut batch);
                let started = std::mem::replace(&mut stage, Stage::Ended);
                stage = started.pass_on(full, scope, workers, maker);
            }
        });
        match stage {
            Stage::Alone(mut intake) => {
                batch.events().for_each(|event| take_event(&mut intake, maker, event));
            }
            stage => drop(stage.pass_on(batch, scope, workers, maker)),
        }
        // The threads end with their queues, before the scope does.
        read
    })
}

fn take_event(intake: &mut Intake<'_>, maker: KeyMaker<'_>, event: Event<'_>) {
    match event {
        Event::Entry { line, entry } => {
            intake.take(line, entry, &maker.outcome(&entry), maker.rules)
        }
        Event::Refused { line, refusal, text } => intake.refuse(line, refusal, text, maker.rules),
    }
}

/// Where batches go.
enum Stage<'b> {
    /// There was no full batch yet.
    Alone(Intake<'b>),
    /// To the threads in turn, each with its queue. The number is that of the next one.
    Threads(Vec<SyncSender<Batch>>, usize),
    /// Nowhere: another stage takes the place of this one, or a thread has panicked.
    Ended,
}

impl<'b> Stage<'b> {
    /// Passes a batch on, and starts the threads for the first one.
    fn pass_on<'scope>(
        self,
        batch: Batch,
        scope: &'scope Scope<'scope, '_>,
        workers: usize,
        maker: KeyMaker<'scope>,
    ) -> Self
    where
        'b: 'scope,
    {
        let (queues, next) = match self {
            Self::Threads(queues, next) => (queues, next),
            Self::Alone(intake) => (start(scope, workers, maker, intake), 0),
            Self::Ended => return Self::Ended,
        };
        if queues[next].send(batch).is_err() {
            // A thread panicked, and so will the scope.
            return Self::Ended;
        }
        let next = (next + 1) % queues.len();
        Self::Threads(queues, next)
    }
}

/// Starts the threads, and returns a queue for each that makes keys.
fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    workers: usize,
    maker: KeyMaker<'scope>,
    mut intake: Intake<'scope>,
) -> Vec<SyncSender<Batch>> {
    let (queues, done): (Vec<_>, Vec<Receiver<Done>>) = (0..workers)
        .map(|_| {
            let (queue, batches) = sync_channel::<Batch>(WAITING);
            let (results, done) = sync_channel(WAITING);
            scope.spawn(move || {
                for batch in batches {
                    let outcomes = batch.outcomes(maker);
                    if results.send((batch, outcomes)).is_err() {
                        return;
                    }
                }
            });
            (queue, done)
        })
        .unzip();
    scope.spawn(move || {
        // Batches went to the threads in turn, so that the first one without another batch had the last.
        let mut in_turn = (0..done.len()).cycle();
        while let Some((batch, outcomes)) =
            in_turn.next().and_then(|worker| done[worker].recv().ok())
        {
            let mut outcomes = outcomes.into_iter();
            for event in batch.events() {
                match event {
                    Event::Entry { line, entry } => {
                        let outcome = outcomes.next().expect("each entry has an outcome");
                        intake.take(line, entry, &outcome.of(entry.text), maker.rules);
                    }
                    Event::Refused { line, refusal, text } => {
                        intake.refuse(line, refusal, text, maker.rules);
                    }
                }
            }
        }
    });
    queues
}
