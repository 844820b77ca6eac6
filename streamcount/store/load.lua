-- load.lua: the second step of arming, as often as needed: puts back what the archive holds.
--
-- KEYS  1 registry   then, for each tick given: presence, breaks
-- ARGV  1 the run id of the server that is being armed
--       2 index of the first pseudonym in 3
--       3 pseudonyms, 16 bytes each
--       then, for each tick given: presence, breaks
--
-- Returns 1, or 0 when this is another server.

if string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') ~= ARGV[1] then
  return 0
end
local index, names = tonumber(ARGV[2]), ARGV[3]
for start = 1, #names, 16 * 1000 do
  local pairs_of = {}
  for at = start, math.min(#names, start + 16 * 1000 - 1), 16 do
    pairs_of[#pairs_of + 1] = string.sub(names, at, at + 15)
    pairs_of[#pairs_of + 1] = string.format('%.0f', index)
    index = index + 1
  end
  redis.call('HSET', KEYS[1], unpack(pairs_of))
end
for key = 2, #KEYS do
  if ARGV[key + 2] ~= '' then
    redis.call('SET', KEYS[key], ARGV[key + 2])
  end
end
return 1
