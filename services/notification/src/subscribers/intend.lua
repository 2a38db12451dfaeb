-- Takes an edition in hand and fixes its papers, at the first attempt for all later ones. Papers that are fixed on the other
-- way are taken.
-- Answers 'go', 'busy' (in the hands of another, or of a later owner before) or 'done', and the papers.
-- KEYS: delivery, deliveries, the delivery on the other way. ARGV: owner, epoch, now, end of the lease, papers, message id, slot, how long records are
-- kept (ms).
local known = redis.call('HMGET', KEYS[1], 'state', 'owner', 'epoch', 'lease')
local state, owner, epoch, lease = known[1], known[2], tonumber(known[3] or '0'), tonumber(known[4] or '0')
if state == 'sent' or state == 'failed' then return {'done', ''} end
local held = (state == 'intended' or state == 'sending') and owner ~= ARGV[1]
if epoch > tonumber(ARGV[2]) or (held and lease > tonumber(ARGV[3])) then return {'busy', ''} end
redis.call('HSETNX', KEYS[1], 'papers', redis.call('HGET', KEYS[3], 'papers') or ARGV[5])
redis.call('HSETNX', KEYS[1], 'begun', ARGV[3])
redis.call('HSET', KEYS[1], 'state', 'intended', 'owner', ARGV[1], 'epoch', ARGV[2], 'lease', ARGV[4],
  'message_id', ARGV[6], 'at', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[7], ARGV[7])
redis.call('PEXPIRE', KEYS[1], ARGV[8])
redis.call('PEXPIRE', KEYS[2], ARGV[8])
if state == 'sending' then redis.call('HSET', KEYS[1], 'unknown', '1') end
return {'go', redis.call('HGET', KEYS[1], 'papers')}
