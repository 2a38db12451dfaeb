-- Takes an edition in hand and fixes its papers, at the first attempt for all later ones.
-- Answers 'go', 'again' (an earlier attempt ended without a word), 'busy' or 'done', and the papers.
-- KEYS: delivery, deliveries. ARGV: owner, now, end of the lease, papers, message id, slot.
local state = redis.call('HGET', KEYS[1], 'state')
if state == 'sent' or state == 'failed' then return {'done', ''} end
local held = (state == 'intended' or state == 'sending') and redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1]
if held and tonumber(redis.call('HGET', KEYS[1], 'lease') or '0') > tonumber(ARGV[2]) then return {'busy', ''} end
redis.call('HSETNX', KEYS[1], 'papers', ARGV[4])
redis.call('HSET', KEYS[1], 'state', 'intended', 'owner', ARGV[1], 'lease', ARGV[3], 'message_id', ARGV[5], 'at', ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[6], ARGV[6])
if state == 'sending' then redis.call('HSET', KEYS[1], 'unknown', '1') end
local answer = redis.call('HEXISTS', KEYS[1], 'unknown') == 1 and 'again' or 'go'
return {answer, redis.call('HGET', KEYS[1], 'papers')}
