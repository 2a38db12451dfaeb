-- Moves a subscription to another state if it is in one of the named ones, and answers the state it is in afterwards.
-- KEYS: subscriber, due, active. ARGV: id, states it may leave, new state, field that takes the time, now, due or ''.
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return false end
if not string.find(ARGV[2], state, 1, true) then return state end
redis.call('HSET', KEYS[1], 'state', ARGV[3], ARGV[4], ARGV[5])
if ARGV[6] == '' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('SREM', KEYS[3], ARGV[1])
else
  redis.call('ZADD', KEYS[2], ARGV[6], ARGV[1])
  redis.call('SADD', KEYS[3], ARGV[1])
end
return ARGV[3]
