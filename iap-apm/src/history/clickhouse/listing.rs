//! Listings of transactions, and which of them count.

use iap_core::{SpanId, TraceId};

use super::clamp;
use super::client::{Client, Params};
use super::rows::Reader;
use crate::error::HistoryError;
use crate::history::query::Cursor;
use crate::history::{MAX_LIMIT, Order, StatusFilter, TransactionPage, TransactionQuery};
use crate::model::{Source, TransactionSummary, Window};

/// How far beyond a window the transactions of its traces are looked for.
const AROUND_US: u64 = 3_600_000_000;

/// The columns that [`summary`] reads.
pub(super) const COLUMNS: &str =
    "trace_id, span_id, parent_id, rank, service, start_us, duration_us, method, path,
    host, route, status, failed, error, message, user, session, client, bytes_out, weight";

/// Conditions with what is bound in them.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    /// To stand behind `WHERE`.
    pub(super) sql: String,
    pub(super) params: Params,
}

impl Filter {
    /// Of transactions that began in a window.
    pub(super) fn window(window: Window) -> Self {
        let params = Params::default()
            .number("from", clamp(window.from_us))
            .number("to", clamp(window.to_us))
            .number("early", clamp(window.from_us.saturating_sub(AROUND_US)))
            .number("late", clamp(window.to_us.saturating_add(AROUND_US)));
        Self { sql: "start_us >= {from:UInt64} AND start_us < {to:UInt64}".to_owned(), params }
    }

    /// Which transactions are wanted, on whatever page.
    pub(super) fn listing(query: &TransactionQuery) -> Self {
        let mut filter = Self::window(query.window);
        let texts = [
            ("route = {route:String}", "route", &query.route),
            ("service = {service:String}", "service", &query.service),
            ("user = {user:String}", "user", &query.user),
            ("session = {session:String}", "session", &query.session),
        ];
        for (condition, name, value) in texts {
            if let Some(value) = value {
                filter.and(condition, |params| params.text(name, value));
            }
        }
        match query.status {
            Some(StatusFilter::Exact(status)) => {
                filter.and("status = {status:UInt64}", |params| params.number("status", status.into()));
            }
            Some(StatusFilter::Class(class)) => {
                let condition = "intDiv(status, 100) = {class:UInt64}";
                filter.and(condition, |params| params.number("class", class.into()));
            }
            None => {}
        }
        if query.errors_only {
            filter.and("failed = 1", |params| params);
        }
        if let Some(least) = query.min_duration_us {
            filter.and("duration_us >= {least:UInt64}", |params| params.number("least", clamp(least)));
        }
        if let Some(most) = query.max_duration_us {
            filter.and("duration_us <= {most:UInt64}", |params| params.number("most", clamp(most)));
        }
        filter.trusted()
    }

    pub(super) fn and(&mut self, condition: &str, bind: impl FnOnce(Params) -> Params) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.params = bind(std::mem::take(&mut self.params));
    }

    /// Of each trace only the rows of the most trusted source. Our own are always of it; what the other traces have
    /// is looked for around the window.
    pub(super) fn trusted(mut self) -> Self {
        let traces = format!("SELECT trace_id FROM transactions WHERE {} AND rank > 0", self.sql);
        let best = format!(
            "SELECT trace_id, min(rank) FROM transactions WHERE start_us >= {{early:UInt64}}
             AND start_us < {{late:UInt64}} AND trace_id IN ({traces}) GROUP BY trace_id"
        );
        self.and(&format!("(rank = 0 OR (trace_id, rank) IN ({best}))"), |params| params);
        self
    }
}

/// Rows that came twice lie next to each other in the order. They are left out here, and more is asked for where too
/// few are left: so the server sorts no more than a page.
pub(super) async fn transactions(
    client: &Client,
    query: &TransactionQuery,
) -> Result<TransactionPage, HistoryError> {
    let wanted = query.limit.clamp(1, MAX_LIMIT) + 1;
    let mut cursor = query.cursor.as_deref().map(Cursor::read).transpose()?;
    let mut items: Vec<TransactionSummary> = Vec::new();
    loop {
        let found = page(client, query, cursor, wanted).await?;
        let full = found.len() == wanted;
        cursor = found.last().map(|row| Cursor::of(query.order, row)).or(cursor);
        items.extend(found);
        items.dedup_by_key(|row| (row.trace_id, row.span_id));
        if !full || items.len() >= wanted {
            break;
        }
    }
    let more = items.len() >= wanted;
    items.truncate(wanted - 1);
    let next = items.last().filter(|_| more).map(|row| Cursor::of(query.order, row).write());
    Ok(TransactionPage { items, next })
}

async fn page(
    client: &Client,
    query: &TransactionQuery,
    cursor: Option<Cursor>,
    limit: usize,
) -> Result<Vec<TransactionSummary>, HistoryError> {
    let mut filter = Filter::listing(query);
    let key = match query.order {
        Order::Newest => "start_us",
        Order::Slowest => "duration_us",
    };
    if let Some(Cursor { key: at, trace_id, span_id }) = cursor {
        let condition = format!(
            "({key}, trace_id, span_id) < ({{at:UInt64}}, toFixedString(unhex({{trace:String}}), 16),
             toFixedString(unhex({{span:String}}), 8))"
        );
        filter.and(&condition, |params| {
            params.number("at", at).text("trace", &trace_id.to_string()).text("span", &span_id.to_string())
        });
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM transactions WHERE {} ORDER BY {key} DESC, trace_id DESC, span_id DESC LIMIT {limit}",
        filter.sql
    );
    Reader::all(&client.select(&sql, filter.params).await?, summary)
}

/// Reads [`COLUMNS`].
pub(super) fn summary(row: &mut Reader<'_>) -> Result<TransactionSummary, HistoryError> {
    Ok(TransactionSummary {
        trace_id: TraceId(row.array()?),
        span_id: SpanId(row.array()?),
        parent_id: row.optional(Reader::array)?.map(SpanId),
        source: match row.byte()? {
            0 => Source::Own,
            1 => Source::OtlpRoot,
            _ => Source::OtlpEntry,
        },
        service: row.text()?,
        start_us: row.number()?,
        duration_us: row.number()?,
        method: row.text()?,
        path: row.text()?,
        host: row.text()?,
        route: row.text()?,
        status: row.short()?,
        failed: row.byte()? != 0,
        error: row.optional(Reader::text)?,
        message: row.optional(Reader::text)?,
        user: row.optional(Reader::text)?,
        session: row.optional(Reader::text)?,
        client: row.optional(Reader::text)?,
        bytes_out: row.number()?,
        weight: row.number()?,
    })
}
