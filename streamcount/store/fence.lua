-- fence.lua: the head of every script that touches a counted key. Put in front of it by buckets.py.
--
-- A script may act only in the life of the server and in the epoch that the notary armed. It reads
-- both from meta and compares them with the server it runs in and with what its caller believes. A
-- restart, a failover, FLUSHALL, an old master that lives on, a slot that moved: each shows as another
-- run id, another epoch or no meta, and each is answered the same way: FENCED, and nothing done.
--
-- KEYS[1] is meta, ARGV[1] the caller's epoch, in every script.
--
-- Numbers: all are whole and below 2^53, where Lua's doubles are exact. They leave as integer replies
-- or by string.format('%.0f'); tostring and .. would round after 14 digits.

local OK, FENCED, LATE, OUTSIDE, REFUSED = 0, 1, 2, 3, 4

local FIELDS = {
  'epoch', 'run_id', 'offset_us', 'open', 'close', 'window', 'lag_us', 'hold_us', 'not_before_us',
  'viewers_max', 'members_max', 'unarchived_max', 'streams', 'sealed', 'archived', 'viewers', 'journal_base',
  'live', 'proven', 'peak', 'peak_tick', 'uncertain'
}

local function server_run_id()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end

-- Returns meta as a table of numbers with now_us (event time in microseconds), or nil and the FENCED
-- reply, in which the epoch is that of this server's own arming, 0 if there is none.
local function fence()
  local values = redis.call('HMGET', KEYS[1], unpack(FIELDS))
  local time = redis.call('TIME')
  local time_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local armed = values[1] and values[2] == server_run_id()
  if not armed or values[1] ~= ARGV[1] then
    return nil, {FENCED, armed and tonumber(values[1]) or 0, time_us}
  end
  local meta = {}
  for i, field in ipairs(FIELDS) do
    meta[field] = tonumber(values[i]) or 0
  end
  meta.now_us = time_us + meta.offset_us
  return meta
end

-- Errors do not roll back what a script wrote before, so types are checked before the first write.
local function all_of_type(kind, first, last)
  for i = first, last do
    local found = redis.call('TYPE', KEYS[i]).ok
    if found ~= kind and found ~= 'none' then
      return false
    end
  end
  return true
end

-- What every caller wants to know of the bucket: sixteen integers, the first the status.
local function state_of(meta, status)
  return {
    status, meta.epoch, meta.now_us, meta.offset_us, meta.open, meta.close, meta.window, meta.sealed,
    meta.archived, meta.viewers, meta.journal_base, meta.live, meta.proven, meta.peak, meta.peak_tick,
    meta.uncertain
  }
end
