-- Keeps the vectors of interests, unless the subscriber changed while they were embedded.
-- KEYS: subscriber. ARGV: version, encoder, vectors.
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'encoder', ARGV[2], 'vectors', ARGV[3])
return 1
