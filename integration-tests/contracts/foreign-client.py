"""What somebody with a Kafka client of their own sees: librdkafka, and the public message definitions for protobuf.

foreign-client.py BROKERS DESCRIPTORS TOPIC...

One JSON object for each committed record, in the order of partition and offset: everything that Kafka has of it (bytes
in base64) and, where its value is a lethe.log.v1.Record, that message. Nothing of Lethe's own code runs here.
"""

import base64
import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import libversion
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet


def text(data):
    return None if data is None else base64.b64encode(data).decode()


def record_class(descriptors):
    pool = descriptor_pool.DescriptorPool()
    with open(descriptors, 'rb') as file:
        for each in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
            pool.Add(each)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName('lethe.log.v1.Record'))


def unknown_fields(record):
    inner = [record.header, *record.parts]
    return sum(len(UnknownFieldSet(each)) for each in [record, *inner])


def decoded(record_type, value):
    """Undefined fields count as much as defined ones: they are bytes that somebody wrote."""
    try:
        record = record_type.FromString(value)
    except message.DecodeError:
        return {}
    said = json_format.MessageToDict(record, preserving_proto_field_name=True)
    return {'record': said, 'unknown': unknown_fields(record)}


def seen(record_type, found):
    value = found.value()
    return {
        'topic': found.topic(),
        'partition': found.partition(),
        'offset': found.offset(),
        'timestamp': found.timestamp()[1],
        'key': text(found.key()),
        'headers': [[name, text(data)] for name, data in found.headers() or []],
        'value': text(value),
        **({} if value is None else decoded(record_type, value)),
    }


def partitions_of(consumer, topic):
    known = consumer.list_topics(topic, timeout=30).topics[topic]
    if known.error is not None:
        raise KafkaException(known.error)
    return sorted(known.partitions)


def read_all(consumer, topic, partition):
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    while True:
        found = consumer.poll(30)
        if found is None:
            raise TimeoutError(f'{topic}/{partition} does not answer')
        error = found.error()
        if error is None:
            yield found
        elif error.code() == KafkaError._PARTITION_EOF:
            return
        else:
            raise KafkaException(error)


def main(brokers, descriptors, *topics):
    print(f'librdkafka {libversion()[0]}', file=sys.stderr)
    record_type = record_class(descriptors)
    consumer = Consumer({
        'bootstrap.servers': brokers,
        # Never joined nor committed to; the library wants a name.
        'group.id': 'foreign-client',
        'enable.auto.commit': False,
        'enable.partition.eof': True,
        'isolation.level': 'read_committed',
    })
    for topic in topics:
        for partition in partitions_of(consumer, topic):
            for found in read_all(consumer, topic, partition):
                print(json.dumps(seen(record_type, found)))
    consumer.close()


main(*sys.argv[1:])
