-- Records how an attempt ended, and answers 1, also when it was recorded before; 0 when the record belongs to somebody
-- else by now. A mail that was taken is recorded whoever owns the record: it must not be sent again.
-- KEYS: delivery, deliveries, seen, due, the delivery on the other way.
-- ARGV: id, slot, owner, epoch, state, detail, now, message id, papers or '', due or '', 'unknown' or '',
-- papers sent (packed, see `seen`) or '', minutes before which those are forgotten, how long records are kept (ms).
local known = redis.call('HMGET', KEYS[1], 'state', 'owner', 'epoch', 'at', 'settler')
local state, owner, epoch = known[1], known[2], tonumber(known[3] or '0')
if state == ARGV[5] and known[4] == ARGV[7] and known[5] == ARGV[3] then return 1 end
if state == 'sent' then return 0 end
local held = (state == 'intended' or state == 'sending') and owner ~= ARGV[3]
if (held or epoch > tonumber(ARGV[4])) and ARGV[5] ~= 'sent' then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[5], 'detail', ARGV[6], 'at', ARGV[7], 'message_id', ARGV[8],
  'settler', ARGV[3], 'epoch', math.max(epoch, tonumber(ARGV[4])))
redis.call('HDEL', KEYS[1], 'owner', 'lease')
if ARGV[5] == 'empty' then redis.call('HDEL', KEYS[1], 'papers') end
if ARGV[9] ~= '' then redis.call('HSET', KEYS[1], 'papers', ARGV[9]) end
if ARGV[5] == 'deferred' then
  redis.call('HINCRBY', KEYS[1], 'attempts', 1)
  redis.call('HSETNX', KEYS[1], 'begun', ARGV[7])
end
if ARGV[11] ~= '' then redis.call('HSET', KEYS[1], 'unknown', '1') end
if ARGV[10] ~= '' then redis.call('ZADD', KEYS[4], 'XX', ARGV[10], ARGV[1]) end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', tonumber(ARGV[2]) - tonumber(ARGV[14]))
redis.call('PEXPIRE', KEYS[1], ARGV[14])
redis.call('PEXPIRE', KEYS[2], ARGV[14])
if ARGV[12] ~= '' and redis.call('HGET', KEYS[5], 'state') ~= 'sent' then
  local size, old, gone = redis.call('APPEND', KEYS[3], ARGV[12]), tonumber(ARGV[13]), 0
  while gone < size and struct.unpack('>I4', redis.call('GETRANGE', KEYS[3], gone + 8, gone + 11)) < old do
    gone = gone + 12
  end
  if gone > 0 then redis.call('SET', KEYS[3], redis.call('GETRANGE', KEYS[3], gone, -1)) end
  redis.call('PEXPIRE', KEYS[3], ARGV[14])
end
return 1
