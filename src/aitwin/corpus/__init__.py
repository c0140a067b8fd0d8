"""Mail and chats become a dataset."""
