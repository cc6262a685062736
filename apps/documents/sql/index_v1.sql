-- The lexical index: postings of lexemes with the share of BM25 that does not depend on the collection, and how many
-- passages each lexeme is in. Never edited once released: the next version is a file of its own.

-- Impact = f · (k1 + 1) / (f + k1 · (1 − b + b · length / pivot)), Okapi BM25 with k1 = 2 and b = 0.75 (chosen on
-- Cranfield, docs/retrieval.md). The pivot stands for the mean length: passages are cut to one size, so it
-- is a constant, and an impact never goes stale.
CREATE FUNCTION documents_impact_v1(frequency bigint, passage_length bigint) RETURNS real
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (frequency * 3.0 / (frequency + 2.0 * (0.25 + 0.75 * passage_length / 90.0)))::real;

-- Index passages [first_ordinal, end_ordinal) of a version; a passage indexed before is left as it is.
-- Each passage also has a posting of the empty lexeme, whose document frequency is thus the number of passages.
CREATE FUNCTION documents_index_passages_v1(of_version uuid, first_ordinal integer, end_ordinal integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- In order, so that two indexers never wait for each other in a circle.
    INSERT INTO documents_term (lexeme, passage_count)
    SELECT lexeme, 0 FROM (
        SELECT '' AS lexeme
        UNION
        SELECT unnest(tsvector_to_array(to_tsvector('english', text))) FROM documents_passage
        WHERE version_id = of_version AND ordinal >= first_ordinal AND ordinal < end_ordinal) found
    WHERE NOT EXISTS (SELECT FROM documents_term t WHERE t.lexeme = found.lexeme)
    ORDER BY lexeme
    ON CONFLICT (lexeme) DO NOTHING;

    INSERT INTO documents_posting (term_id, impact, passage_id)
    SELECT t.id, documents_impact_v1(found.frequency, found.passage_length), found.passage_id
    FROM (
        SELECT p.id AS passage_id, l.lexeme, cardinality(l.positions)::bigint AS frequency,
               sum(cardinality(l.positions)) OVER (PARTITION BY p.id) AS passage_length
        FROM documents_passage p CROSS JOIN LATERAL unnest(to_tsvector('english', p.text)) l
        WHERE p.version_id = of_version AND p.ordinal >= first_ordinal AND p.ordinal < end_ordinal
        UNION ALL
        SELECT id, '', 0, 0 FROM documents_passage
        WHERE version_id = of_version AND ordinal >= first_ordinal AND ordinal < end_ordinal) found
    JOIN documents_term t USING (lexeme)
    ON CONFLICT (term_id, passage_id) DO NOTHING;
END $$;

-- Keep passage_count true whatever adds or removes postings, cascades of a deleted document included.
CREATE FUNCTION documents_count_postings_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM documents_term WHERE id IN (SELECT term_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    UPDATE documents_term t
    SET passage_count = t.passage_count + CASE TG_OP WHEN 'INSERT' THEN c.count ELSE -c.count END
    FROM (SELECT term_id, count(*) FROM changed GROUP BY term_id) c
    WHERE t.id = c.term_id;
    RETURN NULL;
END $$;

CREATE TRIGGER documents_posting_added AFTER INSERT ON documents_posting
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION documents_count_postings_v1();
CREATE TRIGGER documents_posting_removed AFTER DELETE ON documents_posting
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION documents_count_postings_v1();
