"""The steps Valkey does at once: each script works on the keys of one cached key, which share a hash slot.

KEYS are value, generation, lease. A stored value begins with the generation it was filled under; it is worth something
only while that is the present one. A generation is the clock of its making in microseconds, 16 digits: one that was
evicted comes back larger, so no fill begun under the old one fits it (DESIGN: a counter from 0 would repeat itself).
"""

# ARGV: token, lease ms, generation ms, "1" where a value may outlast its end.
# Returns the value, or {generation, lease, the value that is past its end or false}; lease: 1 ours, 0 another's,
# -1 nobody may have it for a moment, since computing has just failed.
# The generation's lifetime is renewed rarely: each renewal is news to all listeners.
READ = """
local found = redis.call('MGET', KEYS[1], KEYS[2])
local value, generation = found[1], found[2]
if value and string.sub(value, 1, 16) ~= generation then value = false end
if value then
    if ARGV[4] ~= '1' then return value end
    local now = redis.call('TIME')
    if tonumber(string.sub(value, 17, 29)) > now[1] * 1000 + now[2] / 1000 then return value end
end
if not generation then
    local now = redis.call('TIME')
    generation = string.format('%016.0f', now[1] * 1000000 + now[2])
    redis.call('SET', KEYS[2], generation, 'PX', ARGV[3])
elseif redis.call('PTTL', KEYS[2]) < ARGV[3] / 2 then
    redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
local holder = redis.call('GET', KEYS[3])
if not holder then
    redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
    holder = ARGV[1]
end
if holder == '' then return {generation, -1, value} end
return {generation, holder == ARGV[1] and 1 or 0, value}
"""

# ARGV: token, lease ms. Returns the generation when the lease is ours now, else false: for an early refresh.
LEASE = """
local generation = redis.call('GET', KEYS[2])
if not generation or not redis.call('SET', KEYS[3], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
return generation
"""

# ARGV: generation, header and value, lifetime ms, token. Returns 1 if it was filled.
FILL = """
if redis.call('GET', KEYS[3]) == ARGV[4] then redis.call('DEL', KEYS[3]) end
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
return 1
"""

# ARGV: token, ms. Leaves the lease for so long to nobody, or (0) to anybody; returns 1 if it was ours.
RELEASE = """
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[3]) else redis.call('SET', KEYS[3], '', 'PX', ARGV[2]) end
return 1
"""

# Returns the value, or false.
PEEK = """
local found = redis.call('MGET', KEYS[1], KEYS[2])
if found[1] and string.sub(found[1], 1, 16) == found[2] then return found[1] end
return false
"""

# ARGV: header and value, lifetime ms, generation ms.
PUT = """
local generation = redis.call('GET', KEYS[2])
if not generation then
    local now = redis.call('TIME')
    generation = string.format('%016.0f', now[1] * 1000000 + now[2])
end
redis.call('SET', KEYS[2], generation, 'PX', ARGV[3])
redis.call('SET', KEYS[1], generation .. ARGV[1], 'PX', ARGV[2])
return 1
"""

# ARGV: generation ms, "1" where there is no value in Valkey and the generation is made for the news alone.
# Without a generation nobody can fill, and nobody's memory holds the key: its eviction was news too.
INVALIDATE = """
local old = redis.call('GET', KEYS[2])
redis.call('DEL', KEYS[1], KEYS[3])
if not old and ARGV[2] ~= '1' then return 0 end
local now = redis.call('TIME')
local generation = now[1] * 1000000 + now[2]
if old and tonumber(old) >= generation then generation = tonumber(old) + 1 end
redis.call('SET', KEYS[2], string.format('%016.0f', generation), 'PX', ARGV[1])
return 1
"""
