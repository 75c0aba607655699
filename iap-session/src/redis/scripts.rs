//! The scripts. Each works on one key, so that each works in a cluster, and takes its time from
//! the server, so that gateways with wrong clocks agree.
//!
//! Every reply begins with a word: `ok`, `gone`, `corrupt`, `conflict`, `large`, `exists`,
//! `refused`, `full`, `absent`, `ended`, `taken`, or the state of a session that is not active: `r:<new key>`,
//! `x:<reason>`.

use std::sync::LazyLock;

use fred::types::scripts::Script;

/// Reads the state and ends the script unless the session is active and in time. The server drops a
/// key once its clock is past the given time; for `guard` a session is over when its deadline is
/// reached. `expire` takes the one millisecond between them away.
///
/// A session that was taken over has `_cl`: its key stays until then, whatever happens to the session, and
/// holds nothing but that (`claim`) once the session has gone from it.
///
/// A script that finds its work done says so with a write that changes nothing (`note`): a `WAIT` behind
/// it asks whether replicas have what this connection wrote.
const GUARD: &str = r"
local k = KEYS[1]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function int(number) return string.format('%.0f', number) end
local function note()
  local left = redis.call('PTTL', k)
  if left > 0 then redis.call('PEXPIRE', k, left) end
end
local function claim(cl, state, ...)
  redis.call('DEL', k)
  redis.call('HSET', k, '_f', '1', '_st', state, '_cl', cl, ...)
  redis.call('PEXPIREAT', k, cl)
end
local function guard()
  local m = redis.call('HMGET', k, '_st', '_v', '_la', '_idle', '_abs', '_n', '_b', '_cl', '_ru', '_op')
  if not m[1] then
    if redis.call('EXISTS', k) == 1 then return {'corrupt'} end
    return {'gone'}
  end
  if m[1] == 't' or (m[9] and now >= tonumber(m[9])) then return {'gone'} end
  if m[1] ~= 'a' then return {m[1]} end
  for i = 2, 7 do
    m[i] = tonumber(m[i])
    if not m[i] then return {'corrupt'} end
  end
  if now >= math.min(m[3] + m[4], m[5]) then
    if m[8] then claim(m[8], 't') end
    return {'gone'}
  end
  return nil, m
end
local function expire(ends) redis.call('PEXPIREAT', k, int(ends - 1)) end
local function alive(m, fields)
  local at = math.max(now, m[3])
  fields[#fields + 1] = '_la'
  fields[#fields + 1] = int(at)
  redis.call('HSET', k, unpack(fields))
  if not m[8] then expire(math.min(at + m[4], m[5])) end
end
local function replayed(op, writes)
  return string.match(writes or redis.call('HGET', k, '_op') or '', op .. '=(%d+)')
end
";

/// `op version created idle absolute lifetime user handle recent cap n b (field value)*`; `created`
/// and `absolute` are empty for a new session. `cap` shortens the life of a session that nobody
/// knows yet.
const CREATE: &str = r"
if redis.call('EXISTS', k) == 1 then
  if replayed(ARGV[1]) then note() return {'ok', int(now)} end
  return {'exists'}
end
local created = ARGV[3] ~= '' and ARGV[3] or int(now)
local absolute = ARGV[5] ~= '' and tonumber(ARGV[5]) or now + tonumber(ARGV[6])
redis.call('HSET', k, '_f', '1', '_st', 'a', '_v', ARGV[2], '_c', created, '_la', int(now),
  '_idle', ARGV[4], '_abs', int(absolute), '_op', ARGV[9], '_n', ARGV[11], '_b', ARGV[12])
if ARGV[7] ~= '' then redis.call('HSET', k, '_u', ARGV[7], '_h', ARGV[8]) end
for i = 13, #ARGV, 2 do redis.call('HSET', k, ARGV[i], ARGV[i + 1]) end
local ends = math.min(now + tonumber(ARGV[4]), absolute)
if ARGV[10] ~= '' then ends = math.min(ends, now + tonumber(ARGV[10])) end
expire(ends)
return {'ok', int(now)}
";

/// Lua hands on a bounded number of arguments, and a session may have any number of attributes.
const EACH: &str = r"
local function each(fields, command)
  for i = 1, #fields, 1000 do redis.call(command, k, unpack(fields, i, math.min(i + 999, #fields))) end
end
";

/// `op expected logout max_attributes max_bytes (kind name value)*`. Kinds: `s` set, `d` remove, `t` must be
/// equal, `n` must be absent.
const COMMIT: &str = r"
local stop, m = guard()
if stop then return stop end
local writes = m[10] or ''
local done = replayed(ARGV[1], writes)
if done then note() return {'ok', done, int(now)} end
-- Whoever sent it has given up by now, and perhaps written something newer.
if now > tonumber(ARGV[6]) then return {'late', int(now)} end
local version = m[2]
if ARGV[2] ~= '' and tonumber(ARGV[2]) ~= version then return {'conflict'} end
local n, b = m[6], m[7]
local tests = {t = true, n = true}
local set, drop = {}, {}
for i = 7, #ARGV, 3 do
  local name = 'a:' .. ARGV[i + 1]
  if tests[ARGV[i]] then
    local wanted = ARGV[i] == 't' and ARGV[i + 2]
    if redis.call('HGET', k, name) ~= wanted then return {'conflict'} end
  else
    local old = redis.call('HSTRLEN', k, name)
    if old > 0 then n = n - 1; b = b - (#ARGV[i + 1] + old - 1) end
    if ARGV[i] == 's' then
      n = n + 1; b = b + (#ARGV[i + 1] + #ARGV[i + 2] - 1)
      set[#set + 1] = name
      set[#set + 1] = ARGV[i + 2]
    elseif old > 0 then drop[#drop + 1] = name end
  end
end
if n > tonumber(ARGV[4]) or b > tonumber(ARGV[5]) then return {'large'} end
each(drop, 'HDEL')
local user, handle = '', ''
if ARGV[3] == '1' then
  user = redis.call('HGET', k, '_u') or ''
  handle = redis.call('HGET', k, '_h') or ''
  redis.call('HDEL', k, '_u', '_h', '_lip')
end
version = version + 1
local _, count = string.gsub(writes, '=', '=')
if count >= 8 then writes = string.gsub(writes, '^%x+=%d+ ?', '') end
writes = writes .. (writes ~= '' and ' ' or '') .. ARGV[1] .. '=' .. int(version)
local fields = {'_v', int(version), '_n', int(n), '_b', int(b), '_op', writes}
if #set > 1000 then each(set, 'HSET')
else for _, field in ipairs(set) do fields[#fields + 1] = field end end
alive(m, fields)
return {'ok', int(version), int(now), user, handle}
";

/// `op created accessed idle lifetime remember user handle n b (field value)*`: what was imported before is
/// remembered from now on for `remember`, too.
const IMPORT: &str = r"
if redis.call('EXISTS', k) == 1 then
  local cl = redis.call('HGET', k, '_cl')
  if not cl then return {'exists'} end
  if replayed(ARGV[1]) then note() return {'ok', int(now)} end
  guard()
  local keep = now + tonumber(ARGV[6])
  if keep > tonumber(cl) then
    redis.call('HSET', k, '_cl', int(keep))
    redis.call('PEXPIREAT', k, int(keep))
  end
  return {'taken', int(now)}
end
local accessed = math.min(now, tonumber(ARGV[3]))
local absolute = now + tonumber(ARGV[5])
if now >= math.min(accessed + tonumber(ARGV[4]), absolute) then return {'gone', int(now)} end
local cl = int(absolute + tonumber(ARGV[6]))
local created = int(math.min(accessed, tonumber(ARGV[2])))
redis.call('HSET', k, '_f', '1', '_st', 'a', '_v', '1', '_c', created, '_la', int(accessed),
  '_idle', ARGV[4], '_abs', int(absolute), '_op', ARGV[1] .. '=1', '_n', ARGV[9], '_b', ARGV[10], '_cl', cl)
if ARGV[7] ~= '' then redis.call('HSET', k, '_u', ARGV[7], '_h', ARGV[8]) end
for i = 11, #ARGV, 2 do redis.call('HSET', k, ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIREAT', k, cl)
return {'ok', int(now)}
";

/// `grace_ms`: how long the foreign id is good for.
const SETTLE: &str = r"
local stop, m = guard()
if stop then return stop end
if m[8] and redis.call('HEXISTS', k, '_fu') == 0 then
  redis.call('HSET', k, '_fu', int(now + tonumber(ARGV[1])))
end
return {'ok'}
";

const TOUCH: &str = r"
local stop, m = guard()
if stop then return stop end
alive(m, {})
return {'ok', int(now)}
";

/// `version new_key grace_ms`: leaves a pointer in the place of the session.
const ROTATE: &str = r"
local state = redis.call('HGET', k, '_st')
if state == 'r:' .. ARGV[2] then note() return {'ok'} end
local stop, m = guard()
if stop then return stop end
if m[2] ~= tonumber(ARGV[1]) then return {'conflict'} end
if m[8] then
  claim(m[8], 'r:' .. ARGV[2], '_ru', int(now + tonumber(ARGV[3])))
  return {'ok'}
end
redis.call('DEL', k)
if tonumber(ARGV[3]) > 0 then
  redis.call('HSET', k, '_f', '1', '_st', 'r:' .. ARGV[2])
  redis.call('PEXPIRE', k, ARGV[3])
end
return {'ok'}
";

/// `reason`: leaves a mark that lives as long as the session would have. A damaged session can be
/// ended, too.
const REVOKE: &str = r"
local stop, m = guard()
if stop and stop[1] == 'corrupt' then
  m = {0, 0, now, math.max(redis.call('PTTL', k), 60000), now + 86400000}
elseif stop and string.sub(stop[1], 1, 2) == 'x:' then note() return {'ended'}
elseif stop then return stop end
local user = redis.call('HGET', k, '_u') or ''
local handle = redis.call('HGET', k, '_h') or ''
local cl = redis.call('HGET', k, '_cl')
if cl then
  claim(cl, 'x:' .. ARGV[1])
  return {'ok', user, handle}
end
redis.call('DEL', k)
redis.call('HSET', k, '_f', '1', '_st', 'x:' .. ARGV[1])
redis.call('PEXPIREAT', k, int(math.min(math.max(now, m[3]) + m[4], m[5])))
return {'ok', user, handle}
";

/// On a user's index: `mode handle key deadline max (dead handle)*`. Fields are handles, values
/// `<sequence>:<deadline>:<key>`. This is the moment a login is decided.
const ADMIT: &str = r"
local mode, handle = ARGV[1], ARGV[2]
for i = 6, #ARGV do redis.call('HDEL', k, ARGV[i]) end
local fields = redis.call('HGETALL', k)
local list, mine = {}, nil
for i = 1, #fields, 2 do
  if fields[i] ~= '_seq' then
    local seq, ends, key = string.match(fields[i + 1], '^(%d+):(%d+):(%x+)$')
    if not seq or now >= tonumber(ends) then redis.call('HDEL', k, fields[i])
    elseif fields[i] == handle then mine = seq
    else list[#list + 1] = {tonumber(seq), fields[i], key, tonumber(ends)} end
  end
end
local reply = {'ok'}
if mode == 'repoint' and not mine then return {'absent'} end
if not mine then
  local over = #list + 1 - tonumber(ARGV[5])
  if over > 0 then
    if mode == 'probe' then
      reply = {'full'}
      for _, entry in ipairs(list) do reply[#reply + 1] = entry[2]; reply[#reply + 1] = entry[3] end
      return reply
    end
    if mode == 'refuse' then return {'refused', tostring(#list)} end
    table.sort(list, function(a, b) return a[1] < b[1] end)
    for _ = 1, over do
      local entry = table.remove(list, 1)
      redis.call('HDEL', k, entry[2])
      reply[#reply + 1] = entry[3]
    end
  end
  mine = int(redis.call('HINCRBY', k, '_seq', 1))
end
redis.call('HSET', k, handle, mine .. ':' .. ARGV[4] .. ':' .. ARGV[3])
local ends = tonumber(ARGV[4])
for _, entry in ipairs(list) do ends = math.max(ends, entry[4]) end
redis.call('PEXPIREAT', k, int(ends))
return reply
";

pub(super) static CREATE_SCRIPT: LazyLock<Script> = LazyLock::new(|| guarded(CREATE));
pub(super) static COMMIT_SCRIPT: LazyLock<Script> = LazyLock::new(|| guarded(&format!("{EACH}{COMMIT}")));
pub(super) static IMPORT_SCRIPT: LazyLock<Script> = LazyLock::new(|| guarded(IMPORT));
pub(super) static SETTLE_SCRIPT: LazyLock<Script> = LazyLock::new(|| guarded(SETTLE));
pub(super) static TOUCH_SCRIPT: LazyLock<Script> = LazyLock::new(|| guarded(TOUCH));
pub(super) static ROTATE_SCRIPT: LazyLock<Script> = LazyLock::new(|| guarded(ROTATE));
pub(super) static REVOKE_SCRIPT: LazyLock<Script> = LazyLock::new(|| guarded(REVOKE));
pub(super) static ADMIT_SCRIPT: LazyLock<Script> = LazyLock::new(|| guarded(ADMIT));

fn guarded(body: &str) -> Script {
    Script::from_lua(format!("{GUARD}{body}"))
}
