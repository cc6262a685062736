-- One search: a text arm and a vector arm, each among the passages the asker may read only, fused by standardised
-- scores, then drawn a little towards what the best have in common. Never edited once released.
--
--   question           its lexemes are searched by OR; '' leaves the text arm out
--   question_vector    unit length; NULL leaves the vector arm out
--   document_ids       NULL: all that may be read
--   candidate_count    passages each arm gives
--   postings_budget    postings the text arm reads, rarest lexemes first; the candidates' scores count all lexemes
--   exact_scan_limit   up to so many readable passages are compared one by one instead of through the HNSW index
--   vector_weight      share of the vectors in the fused score, 0 to 1
--   feedback_count     the best passages whose mean vector is added, times feedback_weight, to the question's
CREATE FUNCTION documents_search_v1(
    question text, question_vector halfvec, embedding_model uuid, audience_ids bigint[], document_ids uuid[],
    wanted_count integer, candidate_count integer, postings_budget integer, exact_scan_limit integer,
    vector_weight double precision, feedback_count integer, feedback_weight double precision
) RETURNS TABLE (
    passage_id bigint, score double precision, text_rank integer, vector_rank integer, similarity double precision
)
LANGUAGE plpgsql STABLE ROWS 20
-- Plans differ by orders of magnitude between one audience and another: never a generic one.
SET plan_cache_mode = force_custom_plan
-- What is read is in memory or on flash: some thousand look-ups beat reading the whole table.
SET random_page_cost = 1.1
AS $$
#variable_conflict use_column
DECLARE
    -- Past the 32 rarest, a long question's lexemes say next to nothing.
    term_limit CONSTANT integer := 32;
    chosen_versions uuid[];
    readable_count integer;
    term_ids integer[];
    term_weights double precision[];
    allowances bigint[];
    text_ids bigint[];
    vector_ids bigint[];
BEGIN
    IF document_ids IS NOT NULL THEN
        chosen_versions := ARRAY(
            SELECT active_version_id FROM documents_document
            WHERE id = ANY (document_ids) AND audience_id = ANY (audience_ids) AND active_version_id IS NOT NULL);
    END IF;

    SELECT count(*) INTO readable_count FROM (
        SELECT FROM documents_passage
        WHERE is_serving AND audience_id = ANY (audience_ids)
          AND (chosen_versions IS NULL OR version_id = ANY (chosen_versions))
        LIMIT exact_scan_limit + 1) readable;

    -- Inverse document frequency as in Lucene; the empty lexeme counts all passages.
    SELECT array_agg(id ORDER BY passage_count, id),
           array_agg(ln(1 + (total - passage_count + 0.5) / (passage_count + 0.5)) ORDER BY passage_count, id),
           array_agg(greatest(0, postings_budget - read_before) ORDER BY passage_count, id)
    INTO term_ids, term_weights, allowances
    FROM (
        SELECT id, passage_count,
               sum(passage_count) OVER (ORDER BY passage_count, id) - passage_count AS read_before,
               (SELECT passage_count FROM documents_term WHERE lexeme = '')::double precision AS total
        FROM documents_term
        WHERE lexeme = ANY (tsvector_to_array(to_tsvector('english', question))) AND passage_count > 0
        ORDER BY passage_count, id LIMIT term_limit) asked;

    IF readable_count <= exact_scan_limit AND readable_count * cardinality(term_ids) <= postings_budget THEN
        -- Few passages can be read: each is scored, whatever others' documents make of the budget.
        text_ids := ARRAY(
            SELECT p.id
            FROM documents_passage p CROSS JOIN LATERAL (
                SELECT sum(t.weight * o.impact) AS score
                FROM unnest(term_ids, term_weights) t (id, weight)
                JOIN documents_posting o ON o.term_id = t.id AND o.passage_id = p.id) s
            WHERE p.is_serving AND p.audience_id = ANY (audience_ids)
              AND (chosen_versions IS NULL OR p.version_id = ANY (chosen_versions)) AND s.score > 0
            ORDER BY s.score DESC, p.id LIMIT candidate_count);
    ELSE
        text_ids := ARRAY(
            SELECT p.id
            FROM (
                SELECT o.passage_id, sum(t.weight * o.impact) AS score
                FROM unnest(term_ids, term_weights, allowances) t (id, weight, allowance)
                CROSS JOIN LATERAL (
                    SELECT passage_id, impact FROM documents_posting
                    WHERE term_id = t.id ORDER BY passage_id DESC LIMIT t.allowance) o
                GROUP BY o.passage_id ORDER BY score DESC) s
            JOIN documents_passage p ON p.id = s.passage_id
            WHERE p.is_serving AND p.audience_id = ANY (audience_ids)
              AND (chosen_versions IS NULL OR p.version_id = ANY (chosen_versions))
            ORDER BY s.score DESC LIMIT candidate_count);
    END IF;

    IF question_vector IS NULL THEN
        vector_ids := '{}';
    ELSIF readable_count <= exact_scan_limit THEN
        -- Without the cast of the HNSW index: every readable passage is compared.
        vector_ids := ARRAY(
            SELECT p.id
            FROM documents_passage p
            JOIN documents_passageembedding e ON e.passage_id = p.id AND e.llm_model_id = embedding_model
            WHERE p.is_serving AND p.audience_id = ANY (audience_ids)
              AND (chosen_versions IS NULL OR p.version_id = ANY (chosen_versions))
            ORDER BY e.vector <#> question_vector LIMIT candidate_count);
    ELSE
        PERFORM set_config('hnsw.ef_search', least(candidate_count, 1000)::text, true),
                set_config('hnsw.iterative_scan', 'relaxed_order', true);
        -- The partial index is proven usable from constants only, so the statement is made here.
        EXECUTE format(
            'SELECT array_agg(passage_id ORDER BY distance) FROM (
                SELECT e.passage_id, e.vector::halfvec(%1$s) <#> $1 AS distance
                FROM documents_passageembedding e JOIN documents_passage p ON p.id = e.passage_id
                WHERE e.llm_model_id = %2$L AND p.is_serving AND p.audience_id = ANY ($2)
                  AND ($3 IS NULL OR p.version_id = ANY ($3))
                ORDER BY e.vector::halfvec(%1$s) <#> $1 LIMIT $4) nearest',
            vector_dims(question_vector), embedding_model)
        INTO vector_ids USING question_vector, audience_ids, chosen_versions, candidate_count;
    END IF;

    RETURN QUERY
    WITH candidate AS (
        SELECT id, max(text_rank)::integer AS text_rank, max(vector_rank)::integer AS vector_rank
        FROM (
            SELECT id, rank AS text_rank, NULL AS vector_rank FROM unnest(text_ids) WITH ORDINALITY a (id, rank)
            UNION ALL
            SELECT id, NULL, rank FROM unnest(vector_ids) WITH ORDINALITY a (id, rank)) arms
        GROUP BY id
    ), scored AS MATERIALIZED (
        SELECT c.*, e.vector, -(e.vector <#> question_vector) AS similarity, coalesce(s.score, 0) AS text_score
        FROM candidate c
        LEFT JOIN documents_passageembedding e ON e.passage_id = c.id AND e.llm_model_id = embedding_model
        CROSS JOIN LATERAL (
            SELECT sum(t.weight * o.impact) AS score
            FROM unnest(term_ids, term_weights) t (id, weight)
            JOIN documents_posting o ON o.term_id = t.id AND o.passage_id = c.id) s
    ), standard AS MATERIALIZED (
        SELECT *,
               (1 - vector_weight) * coalesce(
                   (text_score - avg(text_score) OVER ()) / nullif(stddev_pop(text_score) OVER (), 0), 0) AS text_part,
               coalesce((similarity - avg(similarity) OVER ()) / nullif(stddev_pop(similarity) OVER (), 0), 0) AS nearness
        FROM scored
    ), best AS (
        SELECT avg(vector) AS centre FROM (
            SELECT vector FROM standard WHERE vector IS NOT NULL
            ORDER BY text_part + vector_weight * nearness DESC, id LIMIT feedback_count) top
    ), drawn AS (
        SELECT s.*, s.similarity - coalesce(feedback_weight * (s.vector <#> best.centre), 0) AS pulled
        FROM standard s CROSS JOIN best
    )
    SELECT id,
           text_part + vector_weight * coalesce(
               (pulled - avg(pulled) OVER ()) / nullif(stddev_pop(pulled) OVER (), 0), 0) AS score,
           text_rank, vector_rank, similarity
    FROM drawn
    ORDER BY score DESC, id LIMIT wanted_count;
END $$;
