-- Forgets a subscriber of an older version than the given one, with every delivery. Answers 1; 0 where there is nobody, or
-- a newer version.
-- KEYS: subscriber, paused, seen, soft bounces, then due and deliveries of each channel. ARGV: id, version, what the address key
-- begins with, then what the key of a delivery begins with on each channel. The last key is the set of ids that are to be erased
-- from files.
local known = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
if redis.call('EXISTS', KEYS[1]) == 0 or known >= tonumber(ARGV[2]) then return 0 end
local address = ARGV[3] .. string.lower(redis.call('HGET', KEYS[1], 'email') or '')
if redis.call('GET', address) == ARGV[1] then redis.call('DEL', address) end
for channel = 0, 1 do
  local due, deliveries = KEYS[5 + 2 * channel], KEYS[6 + 2 * channel]
  for _, slot in ipairs(redis.call('ZRANGE', deliveries, 0, -1)) do redis.call('DEL', ARGV[4 + channel] .. ARGV[1] .. ':' .. slot) end
  redis.call('ZREM', due, ARGV[1])
  redis.call('DEL', deliveries)
end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SADD', KEYS[9], ARGV[1])
redis.call('DEL', KEYS[1], KEYS[3], KEYS[4])
return 1
