//! What is below the figures of routes: scatters, SQL statements, errors, and who calls whom.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Json;
use iap_apm::history::{ErrorAnswer, Grid, MAX_POINTS, Point, Points, ServiceMap, StatementAnswer};
use iap_apm::history::{SpanColumn, SpanGroupOrder, SpanGroups, SpanGroupsQuery};
use iap_apm::history::{StatementOrder, StatementsQuery};
use iap_apm::{ErrorsQuery, StatusFilter, TransactionQuery, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::Params;
use super::telemetry::{Range, apm, may_ask};
use crate::access::Caller;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PointsParams {
    last_s: Option<u64>,
    from_us: Option<u64>,
    to_us: Option<u64>,
    route: Option<String>,
    service: Option<String>,
    status: Option<u16>,
    #[serde(default)]
    errors: bool,
    min_us: Option<u64>,
    max_us: Option<u64>,
    user: Option<String>,
    session: Option<String>,
    /// How many points: 200,000, and not more; what is beyond comes as a grid.
    limit: Option<usize>,
    /// Whether each point comes with its trace.
    #[serde(default)]
    ids: bool,
}

pub(super) async fn points(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Params(query): Params<PointsParams>,
) -> ApiResult<Json<Scatter>> {
    may_ask(&caller, query.user.as_ref(), query.session.as_ref())?;
    let range = Range { last_s: query.last_s, from_us: query.from_us, to_us: query.to_us };
    let wanted = TransactionQuery {
        route: query.route,
        service: query.service,
        status: query.status.map(StatusFilter::Exact),
        errors_only: query.errors,
        min_duration_us: query.min_us,
        max_duration_us: query.max_us,
        user: query.user,
        session: query.session,
        ..TransactionQuery::new(range.window()?)
    };
    let limit = query.limit.unwrap_or(MAX_POINTS);
    let found = apm(&state)?.history().points(&wanted, limit).await?;
    Ok(Json(Scatter::of(found, query.ids)))
}

/// A scatter as it is answered: a column each, so that names are said once.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Scatter {
    window: Window,
    count: u64,
    errors: u64,
    kept: u64,
    routes: Vec<String>,
    points: Columns,
    grid: Option<Cells>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ScatterPoints")]
struct Columns {
    since_us: Vec<u64>,
    duration_us: Vec<u64>,
    status: Vec<u16>,
    route: Vec<u32>,
    failed: Vec<usize>,
    weight: Option<Vec<u64>>,
    trace_id: Option<Vec<String>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ScatterGrid")]
struct Cells {
    column_us: u64,
    levels_us: Vec<u64>,
    column: Vec<u32>,
    level: Vec<u16>,
    count: Vec<u64>,
    errors: Vec<u64>,
}

impl Scatter {
    fn of(found: Points, ids: bool) -> Self {
        let Points { window, count, errors, kept, routes, points, grid } = found;
        let points = Columns::of(&points, window, ids);
        Self { window, count, errors, kept, routes, points, grid: grid.map(Cells::of) }
    }
}

impl Columns {
    fn of(points: &[Point], window: Window, ids: bool) -> Self {
        let mut before = window.from_us;
        let since = |point: &Point| point.start_us - std::mem::replace(&mut before, point.start_us);
        let weighs = points.iter().any(|point| point.weight != 1);
        Self {
            since_us: points.iter().map(since).collect(),
            duration_us: points.iter().map(|point| point.duration_us).collect(),
            status: points.iter().map(|point| point.status).collect(),
            route: points.iter().map(|point| point.route).collect(),
            failed: points.iter().enumerate().filter(|(_, point)| point.failed).map(|(at, _)| at).collect(),
            weight: weighs.then(|| points.iter().map(|point| point.weight).collect()),
            trace_id: ids.then(|| points.iter().map(|point| point.trace_id.to_string()).collect()),
        }
    }
}

impl Cells {
    fn of(Grid { column_us, levels_us, cells }: Grid) -> Self {
        Self {
            column_us,
            levels_us,
            column: cells.iter().map(|cell| cell.column).collect(),
            level: cells.iter().map(|cell| cell.level).collect(),
            count: cells.iter().map(|cell| cell.count).collect(),
            errors: cells.iter().map(|cell| cell.errors).collect(),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SpanGroupParams {
    last_s: Option<u64>,
    from_us: Option<u64>,
    to_us: Option<u64>,
    /// One to three of `service`, `name`, `kind`, `status`, with commas: `service,name` unless given.
    by: Option<String>,
    /// Only those of this service.
    service: Option<String>,
    /// Only those with this name.
    name: Option<String>,
    /// Only those of this kind: `internal`, `server`, `client`, `producer`, `consumer`.
    kind: Option<String>,
    /// Only those that ended so: `unset`, `ok`, `error`.
    status: Option<String>,
    /// What the groups are ordered by: the time that they took in all unless given.
    #[serde(default)]
    order: SpanGroupOrder,
    /// How many groups: 100, at most 1,000.
    limit: Option<usize>,
}

/// Spans by what they say of themselves.
pub(super) async fn span_groups(
    State(state): State<AdminState>,
    Params(query): Params<SpanGroupParams>,
) -> ApiResult<Json<SpanGroups>> {
    let range = Range { last_s: query.last_s, from_us: query.from_us, to_us: query.to_us };
    let columns = query.by.as_deref().unwrap_or("service,name").split(',').map(|name| {
        SpanColumn::parse(name.trim()).ok_or_else(|| {
            ApiError::bad_request(format!("`{name}` is not one of service, name, kind and status"))
        })
    });
    let by: Vec<_> = columns.collect::<ApiResult<_>>()?;
    let only = [
        (SpanColumn::Service, query.service),
        (SpanColumn::Name, query.name),
        (SpanColumn::Kind, query.kind),
        (SpanColumn::Status, query.status),
    ];
    let mut wanted = SpanGroupsQuery::new(range.window()?, by);
    wanted.only = only.into_iter().filter_map(|(column, value)| Some((column, value?))).collect();
    wanted.order = query.order;
    wanted.limit = query.limit.unwrap_or(wanted.limit);
    Ok(Json(apm(&state)?.history().span_groups(&wanted).await?))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StatementParams {
    last_s: Option<u64>,
    from_us: Option<u64>,
    to_us: Option<u64>,
    route: Option<String>,
    service: Option<String>,
    /// What comes first.
    #[serde(default)]
    sort: StatementOrder,
    /// How many: 50, at most 500.
    limit: Option<usize>,
}

impl StatementParams {
    fn query(self, id: Option<String>) -> ApiResult<StatementsQuery> {
        let range = Range { last_s: self.last_s, from_us: self.from_us, to_us: self.to_us };
        let query = StatementsQuery::new(range.window()?);
        let limit = self.limit.unwrap_or(query.limit);
        Ok(StatementsQuery { route: self.route, service: self.service, id, order: self.sort, limit, ..query })
    }
}

pub(super) async fn statements(
    State(state): State<AdminState>,
    Params(query): Params<StatementParams>,
) -> ApiResult<Json<StatementAnswer>> {
    Ok(Json(apm(&state)?.history().statements(&query.query(None)?).await?))
}

pub(super) async fn statement(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    Params(query): Params<StatementParams>,
) -> ApiResult<Json<StatementAnswer>> {
    let answer = apm(&state)?.history().statements(&query.query(Some(id))?).await?;
    if answer.statements.is_empty() {
        return Err(ApiError::not_found("the statement was not called in this window"));
    }
    Ok(Json(answer))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ErrorParams {
    last_s: Option<u64>,
    from_us: Option<u64>,
    to_us: Option<u64>,
    route: Option<String>,
    service: Option<String>,
    /// How many groups: 100, at most 500.
    limit: Option<usize>,
}

pub(super) async fn errors(
    State(state): State<AdminState>,
    Params(query): Params<ErrorParams>,
) -> ApiResult<Json<ErrorAnswer>> {
    let range = Range { last_s: query.last_s, from_us: query.from_us, to_us: query.to_us };
    let wanted = ErrorsQuery::new(range.window()?);
    let limit = query.limit.unwrap_or(wanted.limit);
    let wanted = ErrorsQuery { route: query.route, service: query.service, limit, ..wanted };
    Ok(Json(apm(&state)?.history().errors(&wanted).await?))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MapParams {
    last_s: Option<u64>,
    from_us: Option<u64>,
    to_us: Option<u64>,
}

pub(super) async fn map(
    State(state): State<AdminState>,
    Params(query): Params<MapParams>,
) -> ApiResult<Json<ServiceMap>> {
    let range = Range { last_s: query.last_s, from_us: query.from_us, to_us: query.to_us };
    Ok(Json(apm(&state)?.history().edges(range.window()?).await?))
}
