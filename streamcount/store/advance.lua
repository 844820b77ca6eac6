-- advance.lua: the notary says what is archived, and what to tell viewers. Safe to repeat.
--
-- KEYS  1 meta       2 journal    then: keys of ticks that nobody needs any more
-- ARGV  1 epoch
--       2 archived: the last tick in durable evidence
--       3 how many entries of the journal are in durable evidence, since arming
--       4 close: the last tick that counts, 0 while it is not decided
--       5 live, 6 proven, 7 peak, 8 its first tick, 9 1 when these are uncertain
--
-- Returns the state (fence.lua). REFUSED when anything would go back, or archived beyond what is sealed:
-- a call whose answer nobody waited for may come after the next one.

local meta, fenced = fence()
if not meta then
  return fenced
end

local archived, read, close = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if archived < meta.archived or archived > meta.sealed or read < meta.journal_base
    or (meta.close > 0 and close ~= meta.close) then
  return state_of(meta, REFUSED)
end
if read > meta.journal_base then
  redis.call('LTRIM', KEYS[2], read - meta.journal_base, -1)
end
redis.call(
  'HSET', KEYS[1], 'archived', ARGV[2], 'journal_base', ARGV[3], 'close', ARGV[4], 'live', ARGV[5],
  'proven', ARGV[6], 'peak', ARGV[7], 'peak_tick', ARGV[8], 'uncertain', ARGV[9]
)
for key = 3, #KEYS do
  redis.call('UNLINK', KEYS[key])
end
local fields = {'archived', 'journal_base', 'close', 'live', 'proven', 'peak', 'peak_tick', 'uncertain'}
for i, field in ipairs(fields) do
  meta[field] = tonumber(ARGV[i + 1])
end
return state_of(meta, OK)
