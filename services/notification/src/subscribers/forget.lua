-- Forgets a subscriber of an older version than the given one, with every delivery. Answers 1; 0 where there is nobody, or
-- a newer version.
-- KEYS: subscriber, due, paused, deliveries, seen. ARGV: id, version, what the address key and a delivery key begin with.
local known = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
if redis.call('EXISTS', KEYS[1]) == 0 or known >= tonumber(ARGV[2]) then return 0 end
local address = ARGV[3] .. string.lower(redis.call('HGET', KEYS[1], 'email') or '')
if redis.call('GET', address) == ARGV[1] then redis.call('DEL', address) end
for _, slot in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do redis.call('DEL', ARGV[4] .. ARGV[1] .. ':' .. slot) end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[1], KEYS[4], KEYS[5])
return 1
