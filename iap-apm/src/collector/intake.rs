//! What becomes of a record: written, held until its transaction is decided on, or let go.

use std::sync::Arc;
use std::time::Duration;

use iap_core::hooks::Finish;
use iap_core::{Kind, TraceId};

use super::held::{HELD_FOR, Part};
use super::keeper::Ended;
use super::{Collector, MAX_PENDING, MAX_PENDING_LINES, ROLL_EVERY, assemble, count};
use crate::bursts::Burst;
use crate::exemplars::Exemplar;
use crate::hooks::ApmTransaction;
use crate::ledger::add;
use crate::marks::{Mark, spread};
use crate::model::{EventKind, Level, LogLine, TimelineEvent};
use crate::record::Record;

const SECOND_US: u64 = 1_000_000;

/// A finished transaction as it came: nothing is made of it before it is kept.
pub(super) struct Done {
    transaction: Arc<ApmTransaction>,
    end: u64,
    finish: Finish,
}

impl Collector {
    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Finished { transaction, end, finish } => self.finished(Done { transaction, end, finish }),
            Record::Stage { trace_id, stage } => self.made(trace_id, Part::Stage(stage)),
            Record::Span { trace_id, span } => self.made(trace_id, Part::Span(span)),
            Record::Log(line) => self.log(line),
        }
    }

    fn log(&mut self, line: Box<LogLine>) {
        self.shared.bursts.count(&line.service, line.level);
        match line.trace_id {
            Some(trace_id) if line.level < Level::Error => self.made(trace_id, Part::Log(line)),
            trace_id => {
                // A failure that somebody wrote down: its transaction is wanted, too.
                if let Some(trace_id) = trace_id {
                    self.shared.marks.begin(trace_id);
                }
                self.wanted(*line);
            }
        }
    }

    /// A line that is written whatever becomes of its transaction.
    fn wanted(&mut self, line: LogLine) {
        add(&self.shared.books.logs.made, 1);
        match self.has_room(MAX_PENDING_LINES) {
            true => self.pending.add_log(line),
            false => add(&self.shared.books.logs.dropped, 1),
        }
    }

    fn finished(&mut self, done: Done) {
        add(&self.shared.books.transactions.made, 1);
        let Done { transaction, end, finish } = &done;
        let unix_us = |raw| self.shared.ticks.unix_us_by(self.anchor, raw);
        let start_us = unix_us(transaction.start);
        let duration_us = unix_us(*end).saturating_sub(start_us);
        let failed = assemble::failed(finish.status, finish.error);
        let id = transaction.with_route(|route| self.keeper.class(route, &transaction.method, finish.status));
        self.shared.live.count(start_us, duration_us, failed);
        self.metrics.add(&self.keeper, id, duration_us);
        let trace_id = transaction.context.trace_id;
        let ended = Ended {
            duration_us,
            failed,
            aborted: finish.error == Some(Kind::ClientGone),
            spread: spread(trace_id),
            begun: self.shared.marks.get(trace_id) == Some(Mark::Begun),
            followed: self.shared.follows.wants(transaction, start_us + duration_us),
        };
        let choice = self.keeper.offer(id, ended, done);
        if let Some((done, weight)) = choice.keep {
            self.keep(done, weight);
        }
        if let Some(done) = choice.let_go {
            self.let_go(done);
        }
    }

    fn keep(&mut self, done: Done, weight: u64) {
        let Done { transaction, end, finish } = done;
        let trace_id = transaction.context.trace_id;
        let taken = transaction.take();
        self.shared.marks.overrule(trace_id, Mark::Begun);
        let finish_status = finish.status;
        let row = assemble::summary(&self.shared, &transaction, taken.facts, end, finish, weight);
        self.shared.live.show(&row);
        let id = self.keeper.class(&row.route, &transaction.method, finish_status);
        let time_us = row.start_us + row.duration_us;
        let exemplar = Exemplar { trace_id, seconds: row.duration_us as f64 / 1e6, time_us };
        self.shared.exemplars.note(self.metrics.labels(&self.keeper, id), exemplar);
        if self.has_room(MAX_PENDING) {
            self.pending.add_transaction(row, &self.shared.node);
        } else {
            add(&self.shared.books.transactions.dropped, 1);
        }
        add(&self.shared.books.spans.made, taken.stages.count() as u64);
        taken.stages.into_iter().for_each(|stage| self.add(trace_id, Part::Stage(stage)));
        self.write_held(trace_id);
    }

    /// Drops a transaction, which another one stands for, with what is held of it.
    fn let_go(&mut self, done: Done) {
        let trace_id = done.transaction.context.trace_id;
        if !self.shared.marks.let_go(trace_id) {
            // A part of it came meanwhile. It is counted already.
            if self.keeper.take_begun() {
                return self.keep(done, 0);
            }
            self.shared.marks.overrule(trace_id, Mark::LetGo);
        }
        let books = &self.shared.books;
        add(&books.transactions.sampled_out, 1);
        books.spans.leave_out(done.transaction.close().count() as u64);
        self.held.forget(trace_id, |part| add(&part.book(books).sampled_out, 1));
    }

    /// Keeps those that stand for what was let go until now.
    pub(super) fn pay(&mut self) {
        for (done, weight) in self.keeper.settle() {
            self.keep(done, weight);
        }
    }

    /// Ends an interval of the keeper.
    pub(super) fn roll(&mut self) {
        self.pay();
        self.keeper.roll(self.last_roll.elapsed().as_millis() as u64 / ROLL_EVERY.as_millis() as u64);
        self.last_roll = std::time::Instant::now();
        self.write_older(HELD_FOR);
        if let Some(Burst { seconds, ago, text }) = self.shared.bursts.tick() {
            let time_us = self.shared.now_us().saturating_sub((seconds + ago) * SECOND_US);
            let (kind, node) = (EventKind::LogBurst, self.shared.node.clone());
            self.shared.event(TimelineEvent { time_us, duration_us: seconds * SECOND_US, kind, node, text });
        }
    }

    /// Takes the events that wait.
    pub(super) fn events(&mut self) {
        for event in self.shared.timeline.take() {
            if self.has_room(MAX_PENDING) {
                self.pending.add_event(event);
            }
        }
    }

    /// Spans and lines follow the decision about their trace.
    fn made(&mut self, trace_id: TraceId, part: Part) {
        let book = part.book(&self.shared.books);
        add(&book.made, 1);
        // What is held follows the decision together.
        let Some(part) = self.held.hold_with_last(trace_id, part) else { return };
        match self.shared.marks.get(trace_id) {
            Some(Mark::LetGo) => add(&book.sampled_out, 1),
            Some(Mark::Begun) => self.add(trace_id, part),
            None => {
                if let Some(part) = self.held.hold(trace_id, part) {
                    self.shared.marks.overrule(trace_id, Mark::Begun);
                    self.add(trace_id, part);
                }
            }
        }
    }

    pub(super) fn write_all_held(&mut self) {
        self.write_older(Duration::ZERO);
    }

    fn write_older(&mut self, than: Duration) {
        for trace_id in self.held.older(than) {
            self.shared.marks.overrule(trace_id, Mark::Begun);
            self.write_held(trace_id);
        }
    }

    /// Writes what has ended of transactions that have been running for so long.
    pub(super) fn write_running(&mut self, than: Duration) {
        let shared = self.shared.clone();
        let now_us = shared.now_us();
        let before_us = now_us.saturating_sub(than.as_micros() as u64);
        let mut running = shared.active.list();
        running.retain(|transaction| shared.ticks.unix_us(transaction.start) <= before_us);
        for transaction in running {
            let trace_id = transaction.context.trace_id;
            for stage in transaction.take_stages() {
                shared.marks.overrule(trace_id, Mark::Begun);
                add(&shared.books.spans.made, 1);
                self.add(trace_id, Part::Stage(stage));
            }
        }
    }

    fn write_held(&mut self, trace_id: TraceId) {
        self.held.take(trace_id).into_iter().for_each(|part| self.add(trace_id, part));
    }

    fn add(&mut self, trace_id: TraceId, part: Part) {
        let most = if matches!(part, Part::Log(_)) { MAX_PENDING_LINES } else { MAX_PENDING };
        if !self.has_room(most) {
            return add(&part.book(&self.shared.books).dropped, 1);
        }
        match part {
            Part::Stage(stage) => self.pending.add_span(trace_id, &assemble::stage(&self.shared, stage)),
            Part::Span(span) => self.pending.add_span(trace_id, &span),
            Part::Log(line) => self.pending.add_log(*line),
        }
    }

    fn has_room(&self, most: usize) -> bool {
        let room = self.pending.len() < most;
        if !room {
            count(&self.shared.rings.dropped.history, 1);
        }
        room
    }
}
