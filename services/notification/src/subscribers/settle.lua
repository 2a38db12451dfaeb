-- Records how an attempt ended, and answers 1; 0 when the record belongs to somebody else by now. A mail that was taken
-- is recorded whoever owns the record: it must not be sent again.
-- KEYS: delivery, deliveries, sent, due.
-- ARGV: id, slot, owner, state, detail, now, message id, papers or '', due or '', 'unknown' or '', then sent paper ids.
local known = redis.call('HGET', KEYS[1], 'state')
if known == 'sent' then return 0 end
local held = (known == 'intended' or known == 'sending') and redis.call('HGET', KEYS[1], 'owner') ~= ARGV[3]
if held and ARGV[4] ~= 'sent' then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[4], 'detail', ARGV[5], 'at', ARGV[6], 'message_id', ARGV[7])
redis.call('HDEL', KEYS[1], 'owner', 'lease')
if ARGV[4] == 'empty' then redis.call('HDEL', KEYS[1], 'papers') end
if ARGV[8] ~= '' then redis.call('HSET', KEYS[1], 'papers', ARGV[8]) end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[2])
if ARGV[4] == 'deferred' then redis.call('HINCRBY', KEYS[1], 'attempts', 1) end
if ARGV[10] ~= '' then redis.call('HSET', KEYS[1], 'unknown', '1') end
if ARGV[9] ~= '' then redis.call('ZADD', KEYS[4], 'XX', ARGV[9], ARGV[1]) end
for i = 11, #ARGV do redis.call('SADD', KEYS[3], ARGV[i]) end
return 1
