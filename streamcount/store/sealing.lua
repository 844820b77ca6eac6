-- sealing.lua: closing ticks. Put behind fence.lua in the scripts that seal, flush and read.
--
-- Tick k is sealed once
--   its second and the lag are over                        now >= k + 1 + lag
--   every member has delivered it, that is, has said that it will send nothing more for it;
--   a member that still has not when k has been over, and the bucket armed, for longer than the hold
--   is lost: nobody waits for it until it is back
-- and never before not_before_us (who was a member may be unknown after arming), never further ahead
-- of the archive than unarchived_max, and never beyond the last tick that can hold a count, one window
-- after the close. Ticks after the close are empty and wait for nobody.
--
-- members: node -> "<boot> <delivered>", or "lost <tick>" with the last tick sealed without it that the
-- journal tells the notary of. When it is back, flush tells of the others.

local SEALS_A_CALL = 8

local function seal(meta, members_key, journal_key)
  local members, lost = nil, {}
  for _ = 1, SEALS_A_CALL do
    local tick = meta.sealed + 1
    local over_us = meta.now_us - (tick + 1) * 1000000
    -- Nobody could deliver anything before the bucket was armed.
    local silent_us = math.min(over_us, meta.now_us - meta.not_before_us)
    if over_us < meta.lag_us or meta.now_us < meta.not_before_us
        or tick - meta.archived > meta.unarchived_max
        or (meta.close > 0 and tick > meta.close + meta.window) then
      break
    end
    if meta.close == 0 or tick <= meta.close then
      members = members or redis.call('HGETALL', members_key)
      for i = 1, #members, 2 do
        local boot, delivered = string.match(members[i + 1], '^(%S+) (%d+)$')
        delivered = tonumber(delivered) or 0
        if boot ~= 'lost' and delivered < tick and not lost[members[i]] then
          if silent_us <= meta.hold_us then
            return
          end
          lost[members[i]] = true
          redis.call('HSET', members_key, members[i], string.format('lost %.0f', tick))
          redis.call('RPUSH', journal_key, string.format('l%.0f %.0f silent %s', delivered + 1, tick, members[i]))
        end
      end
    end
    meta.sealed = tick
    redis.call('HSET', KEYS[1], 'sealed', string.format('%.0f', tick))
  end
end
