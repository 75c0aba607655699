//! Events of all gateways: one stream, and beside it the deadlines of sessions, in one slot.
//!
//! | key | |
//! |---|---|
//! | `<prefix>:{events}:log` | stream; field `e` is an event as JSON. Lives a week after the last one |
//! | `<prefix>:{events}:deadlines` | sorted set: `<session key>:<user>` by when it is to be looked at. Lives an hour longer than the last session in it can |
//! | `<prefix>:{events}:b:<batch>` | a batch that was kept, for a minute: its repetition has no effect |

use std::sync::{Arc, LazyLock};

use fred::types::scripts::Script;
use fred::types::{ClusterHash, Value};
use futures_util::future::join_all;

use crate::error::StoreError;
use crate::events::{Batch, Due, Event, EventId, EventLog, Swept};
use crate::id::SessionKey;
use crate::store::BoxFuture;

use super::RedisStore;
use super::codec::corrupt;
use super::failure::Effect;

/// `KEYS[1]` is what all of the keys begin with. `post` adds an event, `live` lets a key live for so long at least.
const COMMON: &str = r"
local base = KEYS[1]
local log, deadlines = base .. ':log', base .. ':deadlines'
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function int(number) return string.format('%.0f', number) end
local function post(keep, event)
  redis.call('XADD', log, 'MAXLEN', '~', keep, '*', 'e', event)
  redis.call('PEXPIRE', log, 604800000)
end
local function live(key, ms)
  if ms > 0 and redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, int(ms)) end
end
";

/// `batch keep (op ...)*`: `e event`, `w member deadline end`, `f member`.
const APPEND: &str = r"
if not redis.call('SET', base .. ':b:' .. ARGV[1], '1', 'NX', 'PX', 60000) then return {'ok'} end
local at, ends = 3, 0
while at <= #ARGV do
  local op = ARGV[at]
  if op == 'e' then
    post(ARGV[2], ARGV[at + 1])
    at = at + 2
  elseif op == 'w' then
    redis.call('ZADD', deadlines, ARGV[at + 2], ARGV[at + 1])
    ends = math.max(ends, tonumber(ARGV[at + 3]))
    at = at + 4
  else
    redis.call('ZREM', deadlines, ARGV[at + 1])
    at = at + 2
  end
end
if ends > 0 then live(deadlines, ends - now + 3600000) end
return {'ok'}
";

/// `margin most lease`: what was due for longer than the margin. Nobody else is given it during the lease.
const CLAIM: &str = r"
local due = redis.call('ZRANGEBYSCORE', deadlines, '-inf', int(now - ARGV[1]), 'LIMIT', 0, ARGV[2])
for _, member in ipairs(due) do redis.call('ZADD', deadlines, 'XX', int(now + ARGV[3]), member) end
table.insert(due, 1, int(now))
return due
";

/// `keep (op ...)*`: `x member event` is told by whoever takes it out, `k member deadline` is kept, `d member` dropped.
const SETTLE: &str = r"
local at, told = 2, 0
while at <= #ARGV do
  local op, member = ARGV[at], ARGV[at + 1]
  if op == 'k' then
    redis.call('ZADD', deadlines, 'XX', ARGV[at + 2], member)
    at = at + 3
  elseif op == 'x' then
    if redis.call('ZREM', deadlines, member) == 1 then
      post(ARGV[1], ARGV[at + 2])
      told = told + 1
    end
    at = at + 3
  else
    redis.call('ZREM', deadlines, member)
    at = at + 2
  end
end
return {int(told)}
";

static APPEND_SCRIPT: LazyLock<Script> = LazyLock::new(|| script(APPEND));
static CLAIM_SCRIPT: LazyLock<Script> = LazyLock::new(|| script(CLAIM));
static SETTLE_SCRIPT: LazyLock<Script> = LazyLock::new(|| script(SETTLE));

/// How long after its deadline a session is looked at: a touch at the last moment has arrived by then.
const MARGIN_MS: u64 = 500;
/// Sessions that are looked at in one go.
const SWEEP: usize = 128;
/// How long nobody else looks at them. Whoever is killed meanwhile has told nothing.
const LEASE_MS: u64 = 30_000;

fn script(body: &str) -> Script {
    Script::from_lua(format!("{COMMON}{body}"))
}

/// What has become of a session that was due.
enum Found {
    /// It lives until then.
    Lives(u64),
    /// It was ended, or has another key: that was told by whoever did it.
    Told,
    Gone,
}

impl RedisStore {
    fn events_key(&self) -> String {
        format!("{}:{{events}}", self.prefix)
    }

    async fn look_at(&self, due: &Due) -> Result<Found, StoreError> {
        let mut args = vec![self.session_key(&due.key).into()];
        args.extend(["_st", "_la", "_idle", "_abs"].map(Value::from));
        let fields: Vec<Option<String>> =
            self.connection.command("HMGET", ClusterHash::FirstKey, args, Effect::Read).await?;
        let [state, accessed, idle, absolute] = &fields[..] else { return Ok(Found::Told) };
        let int = |field: &Option<String>| field.as_deref()?.parse::<u64>().ok();
        match state.as_deref() {
            None => Ok(Found::Gone),
            Some("a") => {
                let (Some(accessed), Some(idle), Some(absolute)) = (int(accessed), int(idle), int(absolute))
                else {
                    return Ok(Found::Told);
                };
                let deadline = accessed.saturating_add(idle).min(absolute);
                // The server removes it at its deadline: until it has, its time is not over.
                Ok(Found::Lives(deadline.max(self.connection.now_ms())))
            }
            Some(_) => Ok(Found::Told),
        }
    }

    /// Takes some of what is due; nobody else is given it for a while.
    pub(super) async fn claim(&self) -> Result<Vec<String>, StoreError> {
        let args = [MARGIN_MS.to_string(), SWEEP.to_string(), LEASE_MS.to_string()];
        let args: Vec<Value> = args.into_iter().map(Value::from).collect();
        let mut reply = self.connection.script_unconfirmed(&CLAIM_SCRIPT, &self.events_key(), args).await?;
        self.note_time(reply.first());
        reply.remove(0);
        Ok(reply)
    }

    async fn sweep_now(
        &self,
        keep: usize,
        expired: &(dyn Fn(&Due) -> Event + Sync),
    ) -> Result<Swept, StoreError> {
        let members = self.claim().await?;
        let due: Vec<Option<Due>> = members.iter().map(|member| read_member(member)).collect();
        let look = async |due: &Option<Due>| match due {
            Some(due) => self.look_at(due).await,
            None => Ok(Found::Told),
        };
        let found = join_all(due.iter().map(look)).await;
        let mut args: Vec<Value> = vec![keep.to_string().into()];
        for ((member, due), found) in members.iter().zip(&due).zip(found) {
            let member = member.as_str();
            match (found, due) {
                (Ok(Found::Lives(until)), _) => {
                    args.extend(["k".into(), member.into(), until.to_string().into()]);
                }
                (Ok(Found::Gone), Some(due)) => {
                    args.extend(["x".into(), member.into(), write_event(&expired(due)).into()]);
                }
                (Ok(Found::Told | Found::Gone), _) => args.extend(["d".into(), member.into()]),
                // It is looked at again when others may be given it.
                (Err(_), _) => {}
            }
        }
        let looked_at = members.len();
        if args.len() == 1 {
            return Ok(Swept { looked_at, expired: 0 });
        }
        let reply = self.connection.script_unconfirmed(&SETTLE_SCRIPT, &self.events_key(), args).await?;
        Ok(Swept { looked_at, expired: reply[0].parse().unwrap_or(0) })
    }
}

impl EventLog for RedisStore {
    fn append<'a>(&'a self, batch: &'a Batch, keep: usize) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut args: Vec<Value> = vec![batch.op.to_string().into(), keep.to_string().into()];
            for told in &batch.told {
                args.extend(["e".into(), write_event(&told.event).into()]);
                if let Some((key, user)) = &told.forget {
                    args.extend(["f".into(), write_member(key, user.as_ref()).into()]);
                }
                if let Some((due, ends_ms)) = &told.watch {
                    args.extend(["w".into(), write_member(&due.key, due.user.as_ref()).into()]);
                    args.extend([due.at_ms.to_string().into(), ends_ms.to_string().into()]);
                }
            }
            self.connection.script_unconfirmed(&APPEND_SCRIPT, &self.events_key(), args).await?;
            Ok(())
        })
    }

    fn events_after(
        &self,
        after: EventId,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(EventId, Event)>, StoreError>> {
        Box::pin(async move {
            let log = format!("{}:log", self.events_key());
            let args = vec![
                log.into(),
                format!("({after}").into(),
                "+".into(),
                "COUNT".into(),
                limit.to_string().into(),
            ];
            let entries: Vec<(String, Vec<String>)> =
                self.connection.command("XRANGE", ClusterHash::FirstKey, args, Effect::Read).await?;
            entries.iter().map(|(id, fields)| read_entry(id, fields)).collect()
        })
    }

    fn last_events(&self, limit: usize) -> BoxFuture<'_, Result<Vec<(EventId, Event)>, StoreError>> {
        Box::pin(async move {
            let log = format!("{}:log", self.events_key());
            let args = vec![log.into(), "+".into(), "-".into(), "COUNT".into(), limit.to_string().into()];
            let entries: Vec<(String, Vec<String>)> =
                self.connection.command("XREVRANGE", ClusterHash::FirstKey, args, Effect::Read).await?;
            entries.iter().rev().map(|(id, fields)| read_entry(id, fields)).collect()
        })
    }

    fn sweep<'a>(
        &'a self,
        keep: usize,
        expired: &'a (dyn Fn(&Due) -> Event + Sync),
    ) -> BoxFuture<'a, Result<Swept, StoreError>> {
        Box::pin(self.sweep_now(keep, expired))
    }
}

fn write_event(event: &Event) -> String {
    serde_json::to_string(event).expect("texts and numbers have a JSON form")
}

fn read_entry(id: &str, fields: &[String]) -> Result<(EventId, Event), StoreError> {
    let id = id.parse().map_err(corrupt)?;
    let event = fields.get(1).and_then(|event| serde_json::from_str(event).ok());
    event.map(|event| (id, event)).ok_or_else(|| corrupt("an event cannot be read"))
}

fn write_member(key: &SessionKey, user: Option<&Arc<str>>) -> String {
    format!("{key}:{}", user.map_or("", |user| user))
}

fn read_member(member: &str) -> Option<Due> {
    let (key, user) = member.split_once(':')?;
    let user = (!user.is_empty()).then(|| Arc::from(user));
    Some(Due { key: SessionKey::from_hex(key)?, user, at_ms: 0 })
}
