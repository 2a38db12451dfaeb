-- Puts back how an edition ended, from the log. Answers 1; 0 where it is known to have been sent.
-- KEYS: delivery, deliveries, sent. ARGV: slot, state, papers, message id, when, then the ids of sent papers.
for i = 6, #ARGV do redis.call('SADD', KEYS[3], ARGV[i]) end
local known = redis.call('HGET', KEYS[1], 'state')
if known == 'sent' or known == ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'papers', ARGV[3], 'message_id', ARGV[4], 'at', ARGV[5])
redis.call('HDEL', KEYS[1], 'owner', 'lease')
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[1])
return 1
