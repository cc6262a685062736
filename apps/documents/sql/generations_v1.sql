-- An audience's generation moves with each change of what its people find by searching, in the transaction of the
-- change, whoever makes it. What is kept of a search names the generations it was made under, so nothing older is
-- ever found again. Never edited once released: the next version is a file of its own.
CREATE FUNCTION documents_move_generations_v1(audience_ids bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF audience_ids IS NULL THEN
        RETURN;
    END IF;
    -- In order, so that two changes never wait for each other in a circle.
    PERFORM FROM accounts_audience WHERE id = ANY (audience_ids) ORDER BY id FOR NO KEY UPDATE;
    UPDATE accounts_audience SET generation = generation + 1 WHERE id = ANY (audience_ids);
END $$;

-- Passages that serve. Those of a version being built are found by nobody.
CREATE FUNCTION documents_passage_added_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM documents_move_generations_v1(
        (SELECT array_agg(DISTINCT audience_id) FROM new_rows WHERE is_serving));
    RETURN NULL;
END $$;
CREATE FUNCTION documents_passage_changed_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM documents_move_generations_v1((
        SELECT array_agg(DISTINCT audience_id) FROM (
            SELECT audience_id FROM old_rows WHERE is_serving
            UNION ALL
            SELECT audience_id FROM new_rows WHERE is_serving) touched));
    RETURN NULL;
END $$;
CREATE FUNCTION documents_passage_removed_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM documents_move_generations_v1(
        (SELECT array_agg(DISTINCT audience_id) FROM old_rows WHERE is_serving));
    RETURN NULL;
END $$;
CREATE TRIGGER documents_passage_added_v1 AFTER INSERT ON documents_passage
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION documents_passage_added_v1();
CREATE TRIGGER documents_passage_changed_v1 AFTER UPDATE ON documents_passage
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION documents_passage_changed_v1();
CREATE TRIGGER documents_passage_removed_v1 AFTER DELETE ON documents_passage
REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION documents_passage_removed_v1();

-- Vectors of passages that serve already, as another model's are. They go with their passages, or stay unused.
CREATE FUNCTION documents_embedding_written_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM documents_move_generations_v1((
        SELECT array_agg(DISTINCT p.audience_id)
        FROM new_rows n JOIN documents_passage p ON p.id = n.passage_id AND p.is_serving));
    RETURN NULL;
END $$;
CREATE TRIGGER documents_embedding_added_v1 AFTER INSERT ON documents_passageembedding
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION documents_embedding_written_v1();
CREATE TRIGGER documents_embedding_changed_v1 AFTER UPDATE ON documents_passageembedding
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION documents_embedding_written_v1();

-- Of a document only what a search tells or asks: its status changes several times a reading.
CREATE FUNCTION documents_document_changed_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM documents_move_generations_v1((
        SELECT array_agg(DISTINCT audience_id) FROM (
            (SELECT id, audience_id, active_version_id, name FROM old_rows
             EXCEPT SELECT id, audience_id, active_version_id, name FROM new_rows)
            UNION ALL
            (SELECT id, audience_id, active_version_id, name FROM new_rows
             EXCEPT SELECT id, audience_id, active_version_id, name FROM old_rows)) touched));
    RETURN NULL;
END $$;
CREATE FUNCTION documents_document_removed_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM documents_move_generations_v1((SELECT array_agg(DISTINCT audience_id) FROM old_rows));
    RETURN NULL;
END $$;
CREATE TRIGGER documents_document_changed_v1 AFTER UPDATE ON documents_document
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION documents_document_changed_v1();
CREATE TRIGGER documents_document_removed_v1 AFTER DELETE ON documents_document
REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION documents_document_removed_v1();
