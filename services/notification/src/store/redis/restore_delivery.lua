-- Puts back how a digest ended, from the log, in the order of the log. Answers 1; 0 where it is known already.
-- KEYS: delivery, deliveries, seen. ARGV: slot, state, papers, message id, when, papers sent (packed) or nothing.
local known = redis.call('HGET', KEYS[1], 'state')
if known == 'sent' or known == ARGV[2] then return 0 end
if ARGV[6] then redis.call('APPEND', KEYS[3], ARGV[6]) end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'papers', ARGV[3], 'message_id', ARGV[4], 'at', ARGV[5])
redis.call('HDEL', KEYS[1], 'owner', 'lease')
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[1])
return 1
