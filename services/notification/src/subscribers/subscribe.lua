-- Takes a wish to subscribe: tells whether a confirmation is to be mailed ('ask'), the subscription holds at once
-- ('active'), or nothing is to happen ('quiet').
-- KEYS: subscriber, due, active. ARGV: id, consent, now, pause, next slot, then fields with their values.
local id, consent, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local state = redis.call('HGET', KEYS[1], 'state')
if consent == 'ask' then
  local asked = tonumber(redis.call('HGET', KEYS[1], 'asked') or '0')
  if state == 'active' or state == 'suppressed' or asked + tonumber(ARGV[4]) > now then return 'quiet' end
end
for i = 6, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('HSETNX', KEYS[1], 'created', ARGV[3])
redis.call('HDEL', KEYS[1], 'encoder', 'vectors')
if consent == 'ask' then
  redis.call('HSET', KEYS[1], 'state', 'pending', 'asked', ARGV[3])
  redis.call('HDEL', KEYS[1], 'confirmed', 'unsubscribed')
  return 'ask'
end
if state ~= 'active' then
  redis.call('HSET', KEYS[1], 'state', 'active', 'confirmed', ARGV[3])
  redis.call('HDEL', KEYS[1], 'unsubscribed')
end
redis.call('ZADD', KEYS[2], ARGV[5], id)
redis.call('SADD', KEYS[3], id)
return 'active'
