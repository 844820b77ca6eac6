-- flush.lua: a worker delivers what it heard in one tick. Safe to repeat: bits are only ever set.
--
-- KEYS  1 meta       2 registry   3 members    4 journal
--       5 presence of the tick    6 breaks     7 streams    8 tallies    9 scratch
-- ARGV  1 epoch
--       2 node, 3 boot: the worker's name, and the name of this life of it
--       4 delivered: nothing more will come for ticks up to this one. '' when more will come for this
--         tick, 'leave' to give up membership
--       5 tick, or '' when there is nothing but the watermark
--       6 presence, 7 breaks: bitmaps over viewer indices
--       8 strangers: viewers whose index this worker does not know, 19 bytes each:
--         pseudonym (16), stream (big-endian u16), 1 qualifies + 2 breaks
--       9 streams: index (u32), stream (u16), big-endian, of the viewers in 6 (empty when the event
--         has one stream)
--      10 tallies of this node and tick, as the notary will read them
--
-- Returns the state (fence.lua), then a list with the index of every stranger, in order; -1 for one
-- that is not registered and does not qualify, or for whom the registry is full.
--   OK       the bits are in
--   LATE     the tick is sealed and not every bit was in: no bit was changed, and the notary is told
--   OUTSIDE  the tick is not between open and close, or is in the future
--   REFUSED  something has the wrong shape: a bit beyond the registry, a key of another type

local STRANGER = 19

local meta, fenced = fence()
if not meta then
  return fenced
end

local node, boot, delivered = ARGV[2], ARGV[3], ARGV[4]
local tick, presence, breaks = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local strangers, streams, tallies = ARGV[8], ARGV[9], ARGV[10]

local function beyond_registry(bitmap)
  local spare = #bitmap * 8 - meta.viewers
  return spare >= 8 or (spare > 0 and string.byte(bitmap, -1) % 2 ^ spare ~= 0)
end

local function refused()
  return #strangers % STRANGER ~= 0 or #streams % 6 ~= 0
    or beyond_registry(presence) or beyond_registry(breaks)
    or not all_of_type('hash', 2, 3) or not all_of_type('list', 4, 4)
    or not all_of_type('string', 5, 7) or not all_of_type('hash', 8, 8)
    or (redis.call('HLEN', KEYS[3]) >= meta.members_max and redis.call('HEXISTS', KEYS[3], node) == 0)
end

-- The indices of the strangers as they are now: false for one that is not registered.
local function look_up()
  local found = {}
  for start = 1, #strangers, STRANGER * 1000 do
    local names = {}
    for at = start, math.min(#strangers, start + STRANGER * 1000 - 1), STRANGER do
      names[#names + 1] = string.sub(strangers, at, at + 15)
    end
    for _, index in ipairs(redis.call('HMGET', KEYS[2], unpack(names))) do
      found[#found + 1] = index and tonumber(index) or false
    end
  end
  return found
end

local function effects(number)
  local flags = string.byte(strangers, number * STRANGER)
  return flags % 2 == 1, flags >= 2
end

-- Tells whether the given bitmap holds no bit that the keys together lack.
local function within(bitmap, ...)
  if bitmap == '' then
    return true
  end
  redis.call('SET', KEYS[9], bitmap)
  redis.call('BITOP', 'OR', KEYS[9], KEYS[9], ...)
  local together = redis.call('BITCOUNT', KEYS[9])
  redis.call('BITOP', 'OR', KEYS[9], ...)
  local without = redis.call('BITCOUNT', KEYS[9])
  redis.call('DEL', KEYS[9])
  return together == without
end

local function all_in_already(found)
  for number, index in ipairs(found) do
    local qualifies, breaking = effects(number)
    local present = index and redis.call('GETBIT', KEYS[5], index) == 1
    -- Nor would one be set now of whom the registry had no room for.
    if qualifies and not present and (index or meta.viewers < meta.viewers_max) then
      return false
    end
    if breaking and index and not present and redis.call('GETBIT', KEYS[6], index) == 0 then
      return false
    end
  end
  -- The archive keeps a break only where there is no presence, and so does what arming restored.
  return within(presence, KEYS[5]) and within(breaks, KEYS[6], KEYS[5])
end

local function register(found)
  local names, entry = {}, {}
  local first = meta.viewers
  for number, index in ipairs(found) do
    if not index and effects(number) and meta.viewers < meta.viewers_max then
      local at = (number - 1) * STRANGER + 1
      local name = string.sub(strangers, at, at + 15)
      -- The same stranger may stand in the list twice.
      if redis.call('HSETNX', KEYS[2], name, string.format('%.0f', meta.viewers)) == 1 then
        entry[#entry + 1] = string.sub(strangers, at, at + 17)
        found[number] = meta.viewers
        meta.viewers = meta.viewers + 1
      else
        found[number] = tonumber(redis.call('HGET', KEYS[2], name))
      end
    end
  end
  if #entry > 0 then
    redis.call('HSET', KEYS[1], 'viewers', string.format('%.0f', meta.viewers))
    redis.call('RPUSH', KEYS[4], string.format('r%.0f ', first) .. table.concat(entry))
  end
end

local function set_bits(found)
  for number, index in ipairs(found) do
    local qualifies, breaking = effects(number)
    if index and qualifies then
      redis.call('SETBIT', KEYS[5], index, 1)
    end
    if index and breaking then
      redis.call('SETBIT', KEYS[6], index, 1)
    end
  end
  for key, bitmap in pairs({[KEYS[5]] = presence, [KEYS[6]] = breaks}) do
    if bitmap ~= '' then
      redis.call('SET', KEYS[9], bitmap)
      redis.call('BITOP', 'OR', key, key, KEYS[9])
      redis.call('DEL', KEYS[9])
    end
  end
  if meta.streams > 1 then
    local on = {streams}
    for number, index in ipairs(found) do
      if index and effects(number) then
        local at = (number - 1) * STRANGER + 17
        on[#on + 1] = struct.pack('>I4', index) .. string.sub(strangers, at, at + 1)
      end
    end
    redis.call('APPEND', KEYS[7], table.concat(on))
  end
  if tallies ~= '' then
    redis.call('HSET', KEYS[8], node, tallies)
  end
end

-- What the notary learns: from tick, to tick, reason, node. Ticks that a dead life of the node never
-- delivered are not waited for: its next life says that nothing more will come. Nor are those that were
-- sealed while it was lost.
local function take_watermark()
  if delivered == '' then
    return
  end
  local known = redis.call('HGET', KEYS[3], node)
  if delivered == 'leave' then
    -- Unless the next life of the node is a member already.
    if known and string.match(known, '^[^+ ]+') == string.match(boot, '^[^+]+') then
      redis.call('HDEL', KEYS[3], node)
    end
    return
  end
  local through = tonumber(delivered)
  if known then
    local boot_before, before = string.match(known, '^(%S+) (%d+)$')
    before = tonumber(before) or 0
    -- A life that gave up what it heard before it could deliver it says so with a number behind its name.
    -- It, or a life that ended, may have heard something in the tick under way, too.
    local same = boot_before and string.match(boot_before, '^[^+]+') == string.match(boot, '^[^+]+')
    local why = boot_before == 'lost' and 'away' or same and 'gave-up' or 'restarted'
    local last = why == 'away' and through or math.max(through, before) + 1
    if boot_before ~= boot and last > before then
      redis.call('RPUSH', KEYS[4], string.format('l%.0f %.0f %s %s', before + 1, last, why, node))
    end
    through = math.max(through, before)
  end
  redis.call('HSET', KEYS[3], node, string.format('%s %.0f', boot, through))
end

local status, found = OK, {}
if refused() then
  status = REFUSED
elseif tick then
  if tick < meta.open or (meta.close > 0 and tick > meta.close)
      or tick > math.floor(meta.now_us / 1000000) + 1 or tick - meta.archived > 2 * meta.unarchived_max then
    status = OUTSIDE
  else
    found = look_up()
    if tick > meta.sealed then
      register(found)
      set_bits(found)
    elseif not all_in_already(found) then
      status = LATE
      redis.call('RPUSH', KEYS[4], string.format('l%.0f %.0f late %s', tick, tick, node))
    end
  end
end
if status ~= REFUSED then
  take_watermark()
  seal(meta, KEYS[3], KEYS[4])
end

local indices = {}
for number, index in ipairs(found) do
  indices[number] = index or -1
end
local reply = state_of(meta, status)
reply[#reply + 1] = indices
return reply
